"""``nczip bench``: how fast levels 7 and 8 are on a device, and what the hardware would allow."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nczip.cli import options as opt
from nczip.cli.terminal import Console

if TYPE_CHECKING:
    from nczip.device.bench import Bench, Pass

_DEFAULT = {"cpu": 16 << 10, "cuda": 50_000_000}  # bytes


def _bench(
    files: tuple[str, ...],
    device: str | None,
    level: int | None,
    limit: int | None,
    model: str | None,
    threads: int | None,
    **_: Any,
) -> int:
    if len(files) != 1:
        raise click.UsageError("name one file of text to measure on")
    name = device or "cpu"
    if name == "auto":
        raise click.UsageError("--device takes cpu or cuda here")
    from nczip.device import bench

    with Path(files[0]).open("rb") as file:
        content = file.read(limit or _DEFAULT[name])
    if not content:
        raise click.UsageError(f"{files[0]} is empty")
    console = Console(quiet=False, verbose=False)

    def say(what: str) -> None:
        if console.draws:
            console.draw(what)

    try:
        measured = bench.run(content, level or 7, name, model, threads or 1, say)
    finally:
        console.clear()
    click.echo("\n".join(lines(measured, level or 7, len(content))))
    return 0


def lines(bench: "Bench", level: int, size: int) -> list[str]:
    """What is printed."""
    said = [f"{bench.device}: level {level}, {size} bytes, {bench.ratio:.3f} bits per byte", ""]
    said.append(f"{'':<18}{'MB/s':>10}{'tokens/s':>12}{'seconds':>10}")
    for speed in bench.speeds:
        rates = f"{speed.size / speed.seconds / 1e6:>10.4f}{speed.tokens / speed.seconds:>12.0f}"
        said.append(f"{speed.what:<18}{rates}{speed.seconds:>10.2f}")
    if not bench.passes:
        return [*said, "", "Where the time goes is measured on a GPU only."]
    for one in bench.passes:
        said += ["", *_pass_lines(one, bench)]
    return said


def _pass_lines(one: "Pass", bench: "Bench") -> list[str]:
    busy = sum(one.stages.values())
    took, kernels = one.seconds * 1e3, busy * 1e3
    lines = [f"{one.what}: a pass of {one.tokens} tokens takes {took:.2f} ms, its kernels {kernels:.2f} ms"]
    for stage, seconds in sorted(one.stages.items(), key=lambda item: -item[1]):
        lines.append(f"  {stage:<16}{seconds / max(busy, one.seconds):>8.1%}")
    lines.append(f"  {'idle':<16}{max(0.0, 1 - busy / one.seconds):>8.1%}")
    rate = one.operations / one.seconds
    share = "" if bench.peak is None else f", {rate / bench.peak:.1%} of {bench.peak / 1e12:.0f}"
    lines.append(f"  {rate / 1e12:.1f} T operations/s on 8-bit integers{share}")
    rate = one.read / one.seconds
    share = (
        "" if bench.bandwidth is None else f", {rate / bench.bandwidth:.1%} of {bench.bandwidth / 1e9:.0f}"
    )
    lines.append(f"  {rate / 1e9:.1f} GB/s of weights, keys and values{share}")
    return lines


bench = opt.Command(
    name="bench",
    callback=_bench,
    help=(
        "Measure level 7, or with -8 level 8, on FILE, both ways: on the CPU, or with --device cuda on a "
        "GPU, and there where the time goes and how near to the hardware's limits that is. The content has "
        "to come back."
    ),
    usage=("nczip bench [OPTION]... FILE",),
    options=(
        *opt.DEVICE,
        opt.Option(
            "Resources", "-T", "--threads", metavar="N", type=click.IntRange(1, 1024), help="of the CPU"
        ),
        opt.Option(
            "Input",
            "--bytes",
            "limit",
            metavar="SIZE",
            type=opt.Size(),
            help="of FILE's beginning: 16 KiB, on a GPU 50 MB",
        ),
        opt.switch("Level", "-7", "level", value=7, help="language model alone; the default"),
        opt.switch("Level", "-8", "level", value=8, help="language model in a context mixture"),
        opt.Option("Level", "-m", "--model", metavar="NAME", type=str, help="language model"),
        *opt.MESSAGES[-1:],
    ),
    examples=(("nczip bench --device cuda enwik8", "how fast a GPU is"),),
)
