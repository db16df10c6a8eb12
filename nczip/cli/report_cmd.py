"""``nczip report``: nczip beside other compressors on the user's own files."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nczip.cli import options as opt
from nczip.cli import signals
from nczip.cli.terminal import Console, shown

if TYPE_CHECKING:
    from nczip.report.peers import Codec


def _levels(ctx: click.Context, param: click.Parameter, text: str) -> list[int]:
    from nczip.levels import LEVELS

    words = text.split(",")
    if not all(word.isdecimal() and int(word) in LEVELS for word in words):
        said = f"levels are numbers from {LEVELS[0]} to {LEVELS[-1]} with commas between"
        raise click.BadParameter(said, ctx, param)
    return list(dict.fromkeys(int(word) for word in words))


def _chosen_peers(text: str) -> "list[Codec]":
    from nczip.report.peers import PEERS

    if text in ("all", "none"):
        return list(PEERS) if text == "all" else []
    known = {peer.program[0]: peer for peer in PEERS}
    words = text.split(",")
    for word in words:
        if word not in known:
            raise click.UsageError(f"no peer is called {word}; there are {', '.join(known)}")
    return [known[word] for word in dict.fromkeys(words)]


def _print_peers() -> int:
    from nczip.report.peers import PEERS

    for peer in PEERS:
        state = peer.version() or "installed" if peer.installed else "not installed"
        click.echo(f"{peer.program[0]:<8}{peer.name:<18}{state}")
    return 0


def _report(
    files: tuple[str, ...],
    levels: list[int],
    model: str | None,
    reference: bool,
    peers: str,
    limit: int | None,
    quoted: Path | None,
    form: str,
    output: Path | None,
    plot: Path | None,
    **_: Any,
) -> int:
    if peers == "list":
        return _print_peers()
    if not files:
        raise click.UsageError("name a file, a directory or a corpus to measure on")
    from nczip.levels import LANGUAGE_LEVELS
    from nczip.report import peers as codecs
    from nczip.report import plot as plots
    from nczip.report import reference as alone
    from nczip.report import render, results
    from nczip.report.quoted import read

    spoken = [level for level in levels if level in LANGUAGE_LEVELS]
    for option, given in (("--model", model is not None), ("--reference", reference)):
        if given and not spoken:
            least, most = LANGUAGE_LEVELS[0], LANGUAGE_LEVELS[-1]
            raise click.UsageError(f"{option} is for levels {least} to {most}: --levels {most}")

    asked = _chosen_peers(peers)
    chosen = [codecs.nczip(level, model) for level in levels] + [peer for peer in asked if peer.installed]
    inputs = [replace(item, label=shown(item.label)) for item in results.gather(files, limit)]
    # What can be wrong is looked for before the work: a mistake should not cost the minutes that it takes.
    for path in (output, plot):
        if path is not None and not path.parent.is_dir():
            raise results.ReportError(f"{path}: there is no such directory")
    elsewhere = read(quoted, inputs, [codec.name for codec in chosen]) if quoted else []
    if plot is not None:
        plots.check(plot)

    console = Console(quiet=False, verbose=False)

    def show(label: str, codec: str, done: int, count: int) -> None:
        if console.draws:
            console.draw(f"{done + 1}/{count}  {label}  {codec}")

    def show_part(label: str, name: str, done: int, size: int) -> None:
        signals.check()
        if console.draws:
            console.draw(f"{label}  {name}  {done / max(1, size):.0%}")

    try:
        measured = results.measure(chosen, inputs, on_start=show)
        if reference:
            measured += alone.measure(spoken, model, inputs, show_part)
    finally:
        console.clear()
    report = results.Report(
        inputs=tuple(inputs),
        results=(*measured, *elsewhere),
        machine=results.machine(),
        versions=results.versions(chosen),
        absent=tuple(peer.program[0] for peer in asked if not peer.installed),
        quoted_from=quoted.name if quoted else "",
    )
    written = render.FORMATS[form](report)
    if output is None:
        click.echo(written, nl=False)
    else:
        output.write_text(written, encoding="utf-8")
    if plot is not None:
        plots.write(report, plot)
    for result in report.results:
        if result.trouble and not result.quoted:
            console.error(result.file, f"{result.codec}: {result.trouble}")
    return 1 if report.failed else 0


# Every command of nczip explains --help in the same words.
_HELP = next(option for option in opt.MESSAGES if "--help" in option.opts)
_PATH = click.Path(path_type=Path, dir_okay=False)

report = opt.Command(
    name="report",
    callback=_report,
    help=(
        "Compress and decompress each PATH with nczip and with the other compressors that are installed, "
        "compare the bytes, and show sizes, speeds and memory. A PATH is a file, a directory, or the name of "
        "a corpus that nczip corpora has fetched."
    ),
    usage=("nczip report [OPTION]... PATH...",),
    options=(
        opt.Option(
            "Measuring", "--levels", metavar="N,N", default="5", callback=_levels, help="levels of nczip"
        ),
        opt.Option("Measuring", "-m", "--model", metavar="NAME", help="language model of levels 7 to 9"),
        opt.flag("Measuring", "--reference", help="what that model says alone, without a mixture"),
        opt.Option(
            "Measuring",
            "--peers",
            metavar="NAMES",
            default="all",
            help="all, none, or names with commas between; list: show which are installed",
        ),
        opt.Option(
            "Measuring",
            "--limit",
            metavar="SIZE",
            type=opt.Size(),
            help="take SIZE bytes from the start of each",
        ),
        opt.Option(
            "Measuring",
            "--quoted",
            metavar="FILE",
            type=click.Path(path_type=Path, dir_okay=False, exists=True),
            help="add figures of other compressors from a CSV file, marked as quoted",
        ),
        opt.Option(
            "Output",
            "--format",
            "form",
            metavar="FORMAT",
            type=click.Choice(["text", "markdown", "csv", "json"]),
            default="text",
            help="text, markdown, csv or json",
        ),
        opt.Option("Output", "-o", "--output", metavar="FILE", type=_PATH, help="write to FILE"),
        opt.Option(
            "Output",
            "--plot",
            metavar="FILE",
            type=_PATH,
            help="draw ratio against speed: .svg, or .png with matplotlib",
        ),
        _HELP,
    ),
    examples=(
        ("nczip report notes.txt", "the default level beside the others"),
        ("nczip report --levels 4,5,6 src", "three levels on every file below src"),
        ("nczip report --levels 7,8 --reference a.txt", "a language model, in archives and alone"),
        ("nczip report --limit 1M --peers xz,zstd big.log", "a quick look at a large file"),
        ("nczip report --format csv -o today.csv canterbury", "a corpus, for a spreadsheet"),
    ),
)
