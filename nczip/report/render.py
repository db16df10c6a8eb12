"""A report as text for a terminal, as Markdown, CSV and JSON."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from nczip import knowledge, levels
from nczip.report.measure import FLOOR
from nczip.report.quoted import COLUMNS as QUOTED_COLUMNS
from nczip.report.results import Report, Result

MIXTURES = [f"nczip -{level}" for level in levels.LEVELS if level not in levels.ZSTD_LEVELS]


def amount(value: float) -> str:
    """12,345: bytes."""
    return f"{value:,.0f}"


def speed(value: float) -> str:
    """Bytes a second as kB/s or MB/s."""
    if value >= 999_500:
        return f"{value / 1e6:.1f} MB/s"
    return f"{value / 1e3:.{1 if value < 99_500 else 0}f} kB/s"


def megabytes(value: float) -> str:
    """Memory; what cannot be told from the measuring process itself is shown as a bound."""
    return f"< {FLOOR / 1e6:.0f} MB" if value <= FLOOR else f"{value / 1e6:.0f} MB"


@dataclass(frozen=True)
class Column:
    """One figure of a result: where it comes from, how it is written, which end is best (None: no mark)."""

    heading: str
    value: Callable[[Result], float | None]
    show: Callable[[float], str]
    best: Callable[[Iterable[float]], float] | None


SIZE = Column("size", lambda result: result.packed, amount, min)
SIZE_WITH_MODEL = Column(
    "with model",
    lambda result: None if result.packed is None else result.packed + result.model + result.knowledge,
    amount,
    min,
)
COLUMNS = (
    SIZE,
    SIZE_WITH_MODEL,
    Column("bpb", lambda result: result.bits_per_byte, lambda value: f"{value:.4f}", None),
    Column("ratio", lambda result: result.ratio, lambda value: f"{value:.3f}", None),
    Column("compress", lambda result: result.compress_speed, speed, max),
    Column("decompress", lambda result: result.decompress_speed, speed, max),
    Column("memory", lambda result: result.memory and max(result.memory, FLOOR), megabytes, min),
)


@dataclass(frozen=True)
class Table:
    """Rows of the codec's name, its figures ("-" where unknown, "*" after the best) and a remark."""

    title: str
    headings: list[str]
    rows: list[tuple[str, list[str], str]]


def table(title: str, results: Sequence[Result]) -> Table:
    """The results of one file or of all, smallest archive first, what failed last."""
    columns = [column for column in COLUMNS if column is not SIZE_WITH_MODEL or any(r.model for r in results)]
    sound = [result for result in results if not (result.trouble or result.quoted or result.computed)]
    best = {}
    for column in columns:
        known = [value for result in sound if (value := column.value(result)) is not None]
        if column.best is not None and known:
            best[column.heading] = column.best(known)
    rows = []
    for result in sorted(results, key=lambda result: (bool(result.trouble), result.packed or 0)):
        figures = []
        for column in columns:
            value = column.value(result)
            star = "*" if result in sound and value is not None and value == best.get(column.heading) else ""
            figures.append("-" if value is None else column.show(value) + star)
        remarks = ("quoted" if result.quoted else "", result.computed, result.trouble)
        remark = ", ".join(filter(None, remarks))
        rows.append((result.codec, figures, remark))
    return Table(title, [column.heading for column in columns], rows)


def tables(report: Report) -> list[Table]:
    """One for each file, and one for all of them where there are several."""
    found = [
        table(f"{item.label}, {amount(item.size)} bytes", report.of(item.label)) for item in report.inputs
    ]
    if len(report.inputs) > 1:
        whole = sum(item.size for item in report.inputs)
        found.append(table(f"All {len(report.inputs)} files, {amount(whole)} bytes", report.totals))
    return found


def title(report: Report) -> list[str]:
    """Where and with what the report was made."""
    return [
        report.machine,
        ", ".join(f"{name} {version}".strip() for name, version in report.versions.items()),
    ]


def legend(report: Report) -> list[str]:
    """What the marks in a report mean."""
    lines = ["* best of those run here; bpb: bits per byte; memory: peak of the process in either direction."]
    if any(result.model for result in report.results):
        lines.append(
            "size is the archive alone; with model adds the model that decoding needs beside it, and nczip's "
            "built-in knowledge."
        )
    else:
        lines.append(
            "No codec here needs a model beside its archives: sizes without and with it are the same."
        )
    if any(result.codec in MIXTURES for result in report.results):
        known = amount(knowledge.packed_size())
        where = (
            "in no size but with model" if any(result.model for result in report.results) else "in no size"
        )
        lines.append(f"nczip's mixtures start from {known} bytes of built-in knowledge, counted {where}.")
    if any(result.computed for result in report.results):
        lines.append(
            "alone: the bits that the language model gives the text, in the windows and blocks of that "
            "level, by nczip's integer arithmetic."
        )
    if report.absent:
        lines.append(f"not installed here: {', '.join(report.absent)}.")
    if report.quoted_from:
        lines.append(f"quoted: not run here; from {report.quoted_from}.")
    return lines


def text(report: Report) -> str:
    """Aligned columns for a terminal."""
    lines = title(report)
    for section in tables(report):
        # A star hangs outside the digits, so that they stay in line with those that have none.
        grid = [
            [figure if figure.endswith("*") else figure + " " for figure in figures]
            for _, figures, _ in section.rows
        ]
        headings = [heading + " " for heading in section.headings]
        widths = [max(map(len, column)) for column in zip(headings, *grid, strict=True)]
        names = max(len(name) for name, _, _ in section.rows)

        def line(
            name: str, figures: list[str], remark: str, names: int = names, widths: list[int] = widths
        ) -> str:
            cells = (figure.rjust(width) for figure, width in zip(figures, widths, strict=True))
            return f"  {name.ljust(names)}  {'  '.join(cells)}  {remark}".rstrip()

        lines += ["", section.title, line("", headings, "")]
        lines += [
            line(name, figures, remark) for (name, _, remark), figures in zip(section.rows, grid, strict=True)
        ]
    return "\n".join([*lines, "", *legend(report), ""])


def markdown(report: Report) -> str:
    """Tables for a document."""

    def escaped(line: str) -> str:
        return line.replace("|", r"\|").replace("*", r"\*")

    def row(cells: Iterable[str]) -> str:
        return f"| {' | '.join(map(escaped, cells))} |"

    lines = [*title(report), ""]
    for section in tables(report):
        lines += [f"### {section.title}", "", row(["codec", *section.headings, ""])]
        lines.append(f"| --- |{' ---: |' * len(section.headings)} --- |")
        lines += [row([name, *figures, remark]) for name, figures, remark in section.rows]
        lines.append("")
    return "\n".join([*lines, *(f"- {escaped(line)}" for line in legend(report)), ""])


def csv_text(report: Report) -> str:
    """One row a result, in the columns that ``--quoted`` reads: today's run can be quoted tomorrow."""
    sink = io.StringIO()
    sink.write(f"# {'; '.join(title(report))}\n")
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow([*QUOTED_COLUMNS, "model_bytes", "knowledge_bytes", "quoted", "computed", "trouble"])
    for result in report.results:
        came_back = {True: "yes", False: "no", None: "?"}[result.came_back]
        writer.writerow(
            [
                result.codec,
                result.file,
                result.raw,
                _cell(result.packed, 0),
                _cell(result.bits_per_byte, 4),
                _cell(result.compress_seconds, 3),
                _cell(result.decompress_seconds, 3),
                _cell(None if result.memory is None else result.memory / 1e6, 1),
                came_back,
                result.model,
                result.knowledge,
                "yes" if result.quoted else "no",
                result.computed,
                result.trouble,
            ]
        )
    return sink.getvalue()


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def json_text(report: Report) -> str:
    """Everything, sizes in bytes, times in seconds, speeds in bytes a second."""

    def plain(result: Result) -> dict[str, object]:
        derived = {
            "bits_per_byte": result.bits_per_byte,
            "ratio": result.ratio,
            "compress_speed": result.compress_speed,
            "decompress_speed": result.decompress_speed,
        }
        return asdict(result) | derived

    whole = {
        "machine": report.machine,
        "versions": report.versions,
        "results": [plain(result) for result in report.results],
        "totals": [plain(result) for result in report.totals],
    }
    return json.dumps(whole, indent=2) + "\n"


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": text,
    "markdown": markdown,
    "csv": csv_text,
    "json": json_text,
}
