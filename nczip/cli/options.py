"""The options, said once: parser, --help, man page and completions all read these lists."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from nczip.cli import units


class Size(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on
    """A number of bytes, written as ``units.parse_size`` reads it."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return units.parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Option(click.Option):
    """A click option that knows under which heading of the help it stands."""

    def __init__(self, heading: str, *spellings: str, **attrs: Any) -> None:
        super().__init__(list(spellings), **attrs)
        self.heading = heading

    @property
    def spelling(self) -> str:
        """``-o, --output FILE``; long names stand in one column whether or not there is a short one."""
        text = ", ".join(self.opts)
        if len(self.opts[0]) > 2:
            text = f"    {text}"
        return f"{text} {self.metavar}" if self.metavar else text


def switch(heading: str, *spellings: str, value: Any, **attrs: Any) -> Option:
    """One of several flags for the same destination: the last on the line wins, as hands expect."""
    return Option(heading, *spellings, flag_value=value, type=type(value), default=None, **attrs)


def flag(heading: str, *spellings: str, **attrs: Any) -> Option:
    return Option(heading, *spellings, is_flag=True, **attrs)


def _print_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from nczip import __version__

        click.echo(f"nczip {__version__}")
        ctx.exit()


def _print_help(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(ctx.get_help())
        ctx.exit()


OPERATION = (
    switch("Operation", "-z", "--compress", "mode", value="compress", help="write FILE.ncz; the default"),
    switch("Operation", "-d", "--decompress", "mode", value="decompress", help="get FILE back from FILE.ncz"),
    switch("Operation", "-t", "--test", "mode", value="test", help="decode and check, write nothing"),
    switch("Operation", "-l", "--list", "mode", value="list", help="show sizes; -lv: what decoding needs"),
)

LEVEL = (
    switch("Level", "-1", "level", value=1, help="zstd, fast"),
    switch("Level", "-2", "level", value=2, help="zstd, smaller"),
    switch("Level", "-3", "level", value=3, help="zstd, smallest"),
    switch("Level", "-4", "level", value=4, help="context mixture, fast"),
    switch("Level", "-5", "level", value=5, help="context mixture, strong; the default"),
    switch("Level", "-6", "level", value=6, help="context mixture, strongest and slowest"),
    switch("Level", "-7", "level", value=7, help="language model alone, which learns nothing"),
    switch("Level", "-8", "level", value=8, help="language model in a context mixture"),
    switch("Level", "-9", "level", value=9, help="language model in the strongest mixture"),
    Option("Level", "--level", metavar="N", type=int, help="the same, as a number"),
    Option("Level", "-m", "--model", metavar="NAME", type=str, help="language model of -7 to -9"),
)

BASE = (
    Option(
        "Input",
        "--base",
        "bases",
        metavar="FILE",
        type=str,
        multiple=True,
        help="build on FILE, which -d will need as well",
    ),
)

OUTPUT = (
    switch("Output", "-c", "--stdout", "output", value="-", help="write to standard output"),
    Option("Output", "-o", "--output", metavar="FILE", type=str, help="write to FILE"),
    Option("Output", "--output-dir", metavar="DIR", type=click.Path(path_type=Path), help="write below DIR"),
    flag("Output", "-f", "--force", help="overwrite; follow symbolic links; use a terminal"),
    switch("Output", "-k", "--keep", "remove", value=False, help="keep the input; the default"),
    switch("Output", "--rm", "remove", value=True, help="remove the input once the output is on disk"),
)

INPUT = (flag("Input", "-r", "--recursive", help="take every file below a directory"),)

KEEP_GOING = (flag("Input", "--keep-going", help="with -d: write what is intact in a damaged archive"),)

RESOURCES = (
    Option(
        "Resources",
        "-T",
        "--threads",
        metavar="N",
        type=click.IntRange(0, 1024),
        help="N blocks side by side; 0: what cores and -M allow",
    ),
    Option(
        "Resources",
        "-M",
        "--memory",
        metavar="SIZE",
        type=Size(),
        help="limit, such as 96M or 1G: smaller tables; -d refuses",
    ),
)

DEVICE = (
    Option(
        "Resources",
        "--device",
        metavar="NAME",
        type=click.Choice(["auto", "cpu", "cuda"]),
        help="auto, cpu or cuda: where levels 7, 8 are coded",
    ),
)

VERIFY = (
    switch("Resources", "--verify", "verify", value=True, help="decode what a GPU packed; the default"),
    switch("Resources", "--no-verify", "verify", value=False, help="trust the GPU"),
)

BLOCK_SIZE = (
    Option(
        "Resources",
        "--block-size",
        metavar="SIZE",
        type=Size(),
        help="larger blocks pack better and take more memory",
    ),
)

MESSAGES = (
    flag("Messages", "-v", "--verbose", help="say what is done"),
    flag("Messages", "-q", "--quiet", help="errors only: no warnings, no progress"),
    flag(
        "Messages",
        "-V",
        "--version",
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="print the version",
    ),
    flag(
        "Messages",
        "-h",
        "--help",
        is_eager=True,
        expose_value=False,
        callback=_print_help,
        help="print this help",
    ),
)


class Command(click.Command):
    """A click command whose help has headings and examples."""

    def __init__(
        self,
        *,
        usage: Sequence[str],
        options: Sequence[Option],
        examples: Sequence[tuple[str, str]],
        **attrs: Any,
    ) -> None:
        files = click.Argument(["files"], nargs=-1, type=str)
        # --help stands among the options above, so that it has its place under a heading.
        super().__init__(params=[*options, files], add_help_option=False, **attrs)
        self.usage = usage
        self.examples = examples

    def headings(self) -> Iterator[tuple[str, list[Option]]]:
        """The visible options under their headings, both in the order in which they were declared."""
        found: dict[str, list[Option]] = {}
        for param in self.params:
            if isinstance(param, Option) and not param.hidden:
                found.setdefault(param.heading, []).append(param)
        yield from found.items()

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from nczip.cli.help import write_help

        write_help(self, formatter)


@dataclass(frozen=True)
class Settings:
    """What one run was asked to do. ``None`` leaves the choice to the level or to the machine."""

    mode: str = "compress"
    level: int | None = None
    model: str | None = None
    bases: tuple[str, ...] = ()
    output: str | None = None  # "-" is standard output
    output_dir: Path | None = None
    force: bool = False
    remove: bool = False
    recursive: bool = False
    keep_going: bool = False
    threads: int | None = None
    memory: int | None = None
    block_size: int | None = None
    device: str = "auto"
    verify: bool = True
    verbose: bool = False
    quiet: bool = False
