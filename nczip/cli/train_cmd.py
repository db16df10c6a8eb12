"""``nczip train``: a base for many small files, from samples of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nczip.cli import options as opt
from nczip.cli import units
from nczip.cli.files import Source, open_source, sources
from nczip.cli.output import SkipError, open_output
from nczip.cli.terminal import Console

if TYPE_CHECKING:
    from typing_extensions import Buffer


def _train(files: tuple[str, ...], output: str | None, size: int | None, lines: bool, **chosen: Any) -> int:
    from nczip import training
    from nczip.base import Base

    if not output:
        raise click.UsageError("-o FILE says where the base goes")
    if not files:
        raise click.UsageError("name files or directories to learn from")
    settings = opt.Settings(**{name: value for name, value in chosen.items() if value is not None})
    console = Console(quiet=settings.quiet, verbose=settings.verbose)

    def samples() -> Iterator["Buffer"]:
        for source in sources(files, settings, console):
            try:
                content = _content(source, settings)
            except SkipError as reason:
                console.warning(source.name, reason)
            except OSError as error:
                console.error(error.filename or source.name, error.strerror or error)
            else:
                yield from training.lines(content) if lines else (content,)

    try:
        made = training.train(samples(), training.SIZE if size is None else size)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    target = open_output(Path(output), like=None, force=settings.force, sparse=False, console=console)
    with target:
        target.write(made)
        target.commit()
    console.done(output, f"{units.size(len(made))}, a base named {Base(made).name.hex()} for --base")
    return console.status


def _content(source: Source, settings: opt.Settings) -> bytes:
    file, _ = open_source(source, settings)
    with file:
        return file.read()


train = opt.Command(
    name="train",
    callback=_train,
    help=(
        "Make a base for many small files that are alike, from SAMPLEs of them: files, or the lines of "
        "files. What is then compressed with --base builds on it, and needs it to be decompressed."
    ),
    usage=("nczip train [OPTION]... -o FILE SAMPLE...",),
    options=(
        opt.Option("Output", "-o", "--output", metavar="FILE", type=str, help="write the base to FILE"),
        opt.Option(
            "Output", "--size", metavar="SIZE", type=opt.Size(), help="of the base; 112640 by default"
        ),
        opt.flag("Output", "-f", "--force", help="overwrite"),
        *opt.INPUT,
        opt.flag("Input", "--lines", help="each line is a sample, not each file"),
        *opt.MESSAGES,
    ),
    examples=(
        ("nczip train -o base -r samples", "learn from every file below samples"),
        ("nczip train -o base --lines log.jsonl", "learn from records, one a line"),
        ("nczip --base base record.json", "write record.json.ncz"),
        ("nczip -d --base base record.json.ncz", "get record.json back"),
    ),
)
