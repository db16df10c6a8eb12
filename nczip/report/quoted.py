"""Figures of compressors that are not run here, from a CSV file; always shown as quoted."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from nczip.report.results import Input, ReportError, Result

COLUMNS = (
    "peer",
    "file",
    "bytes",
    "compressed",
    "bpb",
    "compress_s",
    "decompress_s",
    "peak_MB",
    "came_back",
)


def read(path: Path, inputs: Sequence[Input], run_here: Iterable[str]) -> list[Result]:
    """The figures in a CSV file for these inputs, of codecs that were not run here.

    Columns as in COLUMNS, more are allowed; lines that begin with # are skipped. A report's own CSV is such a
    file. A row is taken for an input of the same size when it names it or an alias of it. Raises ReportError.
    """
    skip = set(run_here)
    results = []
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(line for line in stream if not line.startswith("#"))
        if not set(COLUMNS) <= set(rows.fieldnames or ()):
            raise ReportError(f"{path}: the first line has to name the columns {', '.join(COLUMNS)}")
        for row in rows:
            try:
                if None in row or None in row.values():
                    raise ValueError("not as many values as columns")
                size = int(row["bytes"])
                matching = (
                    item
                    for item in inputs
                    if item.size == size and row["file"] in {item.label, *item.aliases}
                )
                item = next(matching, None)
                if item is not None and row["peer"] not in skip:
                    results.append(_quoted_result(row, item))
            except (TypeError, ValueError) as error:
                raise ReportError(f"{path}: row {rows.line_num}: {error}") from error
    return results


def _quoted_result(row: dict[str, str], item: Input) -> Result:
    def number(column: str) -> float | None:
        return float(row[column]) if row[column] else None

    memory = number("peak_MB")
    return Result(
        row["peer"],
        item.label,
        item.size,
        packed=int(row["compressed"]) if row["compressed"] else None,
        model=int(row.get("model_bytes") or 0),
        knowledge=int(row.get("knowledge_bytes") or 0),
        compress_seconds=number("compress_s"),
        decompress_seconds=number("decompress_s"),
        memory=None if memory is None else round(memory * 1e6),
        came_back={"yes": True, "no": False}.get(row["came_back"]),
        quoted=True,
        computed=row.get("computed", ""),
        trouble="wrong bytes came back" if row["came_back"] == "no" else "",
    )
