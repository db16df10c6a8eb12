"""The table behind ``make bench``: levels 4 to 6 on enwik8's first 10^6 bytes and Canterbury, beside targets.

Everything runs on one core, and speeds are in units of ``zpaq -m5`` in the same run, so that the machine
cancels out. Rows marked as quoted were not run; their speeds are in units of the zpaq quoted beside them.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import shared

from nczip.errors import NczipError
from nczip.report import peers, quoted, render, results
from nczip.report.results import Input, Report, Result

TEXT = "enwik8-1m"
BASE = "zpaq -m5"
QUOTED = ("mcm -x6", "mcm -x11", "paq8px -8", "paq8px -8L", "cmix")
SMALLEST = ("grammar.lsp", "xargs.1")


@dataclass(frozen=True)
class Target:
    """What a level has to reach: at most these bits, bytes and memory, at least so many times zpaq."""

    text: float | None = None
    alice: float | None = None
    canterbury: int | None = None
    speed: float | None = None
    memory: int | None = None
    smallest: tuple[int | None, ...] = (None, None)


TARGETS = {
    4: Target(text=1.93, alice=2.13, canterbury=430_000, speed=3.0, memory=96_000_000),
    5: Target(text=1.73, alice=1.94, canterbury=360_000, speed=1.0, memory=512_000_000),
    6: Target(
        text=1.60, alice=1.80, canterbury=330_000, speed=0.05, memory=1_500_000_000, smallest=(1_000, 1_420)
    ),
}
VERSION_SECONDS, SMALL_FILE_SECONDS = 0.150, 0.300


def main() -> int:
    options = _options()
    shared.stay_on_one_core(options.cpu)
    levels = [int(level) for level in options.levels.split(",")]
    zpaq = next(peer for peer in peers.PEERS if peer.name == BASE)
    codecs = [peers.nczip(level) for level in levels] + ([zpaq] if zpaq.installed else [])
    inputs = results.gather([TEXT, "canterbury"])
    measured = [
        *results.measure(codecs, inputs[:1], runs=options.runs, seconds=10, on_start=_show),
        *results.measure(codecs, inputs[1:], on_start=_show),
    ]
    elsewhere = quoted.read(options.quoted, inputs, ()) if options.quoted else []
    report = Report(tuple(inputs), tuple(measured), results.machine(), results.versions(codecs))
    print("\n".join([*_heading(report), *_table(report, elsewhere, levels)]))
    print("\n".join(_files(report, elsewhere)))
    print("\n".join(_start_up()))
    return 1 if report.failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--levels", default="4,5,6", help="with commas between")
    parser.add_argument(
        "--runs", type=int, default=3, help=f"on {TEXT} the best of so many, within 10 s, counts"
    )
    shared.add_options(parser)
    return parser.parse_args()


def _show(label: str, codec: str, done: int, count: int) -> None:
    shared.show(f"{done + 1}/{count}  {label}  {codec}")


def _heading(report: Report) -> list[str]:
    shared.show("")
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return [f"{report.machine}; {versions}", ""]


def _verdict(
    value: float | None, bound: float | None, show: Callable[[float], str], *, least: bool = False
) -> str:
    """The figure, and where a target stands for it whether it is met."""
    if value is None:
        return "-"
    if bound is None:
        return show(value)
    met = value >= bound if least else value <= bound
    return f"{show(value)} {'ok' if met else 'MISSED'} ({'>=' if least else '<='} {show(bound)})"


def _table(report: Report, elsewhere: Sequence[Result], levels: Sequence[int]) -> list[str]:
    heads = ["", f"{TEXT}, bpb", "alice29.txt, bpb", "Canterbury, bytes", "compress", "decompress", "memory"]
    lines = [shared.row(heads), "| --- |" + " --- |" * (len(heads) - 1)]
    here = {f"nczip -{level}": TARGETS.get(level, Target()) for level in levels} | {BASE: Target()}
    base = _find(report.results, BASE, TEXT)
    lines += [
        shared.row(_cells(name, report.results, report.inputs, base, target)) for name, target in here.items()
    ]
    base = _find(elsewhere, BASE, TEXT)
    for name in QUOTED:
        cells = _cells(name, elsewhere, report.inputs, base, Target())
        if set(cells[1:]) != {"-"}:
            lines.append(shared.row([f"{name} (quoted)", *cells[1:]]))
    speed = _find(report.results, BASE, TEXT).compress_speed
    unit = render.speed(speed) if speed else "not installed here, so speeds have no unit"
    lines += ["", f"1 x is {BASE} on {TEXT} in this run, one core: {unit}."]
    if elsewhere:
        lines.append(
            "Quoted rows were not run here; their speeds are in units of the zpaq quoted beside them."
        )
    return lines


def _cells(
    name: str, found: Sequence[Result], inputs: Sequence[Input], base: Result, target: Target
) -> list[str]:
    mine = [result for result in found if result.codec == name]
    text, alice = _find(found, name, TEXT), _find(found, name, "alice29.txt")
    sizes = [_find(found, name, item.label).packed for item in inputs[1:]]
    total = sum(size for size in sizes if size is not None) if None not in sizes else None
    memory = max((result.memory for result in mine if result.memory), default=None)
    return [
        name,
        _verdict(text.bits_per_byte, target.text, shared.bpb),
        _verdict(alice.bits_per_byte, target.alice, shared.bpb),
        _verdict(total, target.canterbury, render.amount),
        _verdict(_over(text.compress_speed, base.compress_speed), target.speed, shared.times, least=True),
        _verdict(_over(text.decompress_speed, base.decompress_speed), target.speed, shared.times, least=True),
        _verdict(memory, target.memory, render.megabytes),
    ]


def _over(speed: float | None, base: float | None) -> float | None:
    return speed / base if speed and base else None


def _find(found: Sequence[Result], codec: str, label: str) -> Result:
    """The sound result of ``codec`` on ``label``, or one that knows nothing."""
    fitting = (one for one in found if (one.codec, one.file) == (codec, label) and not one.trouble)
    return next(fitting, Result(codec, label, 0))


def _files(report: Report, elsewhere: Sequence[Result]) -> list[str]:
    """Bytes of every Canterbury file, and whether the smallest are small enough."""
    here = list(dict.fromkeys(result.codec for result in report.results))
    away = [name for name in QUOTED if any(result.codec == name for result in elsewhere)]
    heads = ["bytes", "original", *here, *(f"{name} (quoted)" for name in away)]
    lines = ["", shared.row(heads), "| --- |" + " ---: |" * (len(heads) - 1)]
    bounds = {
        (f"nczip -{level}", name): bound
        for level, target in TARGETS.items()
        for name, bound in zip(SMALLEST, target.smallest, strict=True)
    }
    for item in report.inputs:
        cells = [item.label, render.amount(item.size)]
        for name, found in [(name, report.results) for name in here] + [(name, elsewhere) for name in away]:
            packed = _find(found, name, item.label).packed
            cells.append(_verdict(packed, bounds.get((name, item.label)), render.amount))
        lines.append(shared.row(cells))
    return lines


def _start_up() -> list[str]:
    """How long a user waits for nothing: the version, and 1 KB at the strongest level."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        (directory / "input").write_bytes((__doc__ or "").encode().ljust(1024, b".")[:1024])
        strongest = peers.nczip(6)
        version = min(peers.run(strongest, "--version", directory).seconds for _ in range(10))
        small = min(peers.run(strongest, strongest.compress, directory).seconds for _ in range(5))

    def milliseconds(seconds: float) -> str:
        return f"{1000 * seconds:.0f} ms"

    return [
        "",
        f"nczip --version: {_verdict(version, VERSION_SECONDS, milliseconds)}",
        f"nczip -6 of a file of 1 KB: {_verdict(small, SMALL_FILE_SECONDS, milliseconds)}",
    ]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NczipError as error:
        sys.exit(f"bench: {error}")
