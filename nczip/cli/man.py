"""The manual page, made from what --help is made of: ``python -m nczip.cli.man > nczip.1``."""

from collections.abc import Iterable, Iterator

from nczip import __version__
from nczip.cli import commands
from nczip.cli.options import Command


def page() -> str:
    """nczip(1) as roff source."""
    return "\n".join(_page(commands.files)) + "\n"


def _page(command: Command) -> Iterator[str]:
    yield f'.TH NCZIP 1 "" "nczip {__version__}" "User Commands"'
    yield ".SH NAME"
    yield rf"nczip, unnczip, nczcat \- {_text(commands.PURPOSE)}"
    yield ".SH SYNOPSIS"
    for usage in (*command.usage, "unnczip [OPTION]... [FILE]...", "nczcat [OPTION]... [FILE]..."):
        yield f".B {_text(usage)}"
        yield ".br"
    yield ".SH DESCRIPTION"
    for paragraph in (command.help or "", *commands.DETAILS):
        yield _text(paragraph)
        yield ".PP"
    yield ".SH OPTIONS"
    for heading, options in command.headings():
        yield f".SS {_text(heading)}"
        yield from _list((option.spelling.strip(), option.help or "") for option in options)
    yield ".SH COMMANDS"
    yield from _list((f"nczip {name}", text) for name, (_, text) in commands.SUBCOMMANDS.items())
    yield ".SH EXAMPLES"
    yield from _list(command.examples)
    yield ".SH EXIT STATUS"
    yield from _list(commands.EXIT_STATUSES)
    yield ".SH SEE ALSO"
    yield ".BR zstd (1),\n.BR xz (1),\n.BR tar (1)"


def _list(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield ".TP"
        yield rf"\fB{_text(term)}\fR"
        yield _text(text)


def _text(text: str) -> str:
    """Plain text as roff: nothing in it is a request, and a hyphen can be copied into a shell."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    print(page(), end="")
