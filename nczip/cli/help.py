"""How --help is laid out."""

import sys

import click

from nczip.cli import commands
from nczip.cli.options import Command

_INDENT = 2


def write_help(command: Command, formatter: click.HelpFormatter) -> None:
    """Writes usage, what the command does, its options under their headings, and examples."""
    for prefix, usage in zip(["Usage: ", " " * 7], command.usage, strict=False):
        formatter.write(f"{prefix}{usage}\n")
    formatter.write_paragraph()
    formatter.write_text(command.help or "")

    sections = [
        (heading, [(option.spelling, option.help or "") for option in options])
        for heading, options in command.headings()
    ]
    # One column for all headings: the eye finds an option by running down it.
    column = max(len(spelling) for _, rows in sections for spelling, _ in rows)
    for heading, rows in sections:
        with formatter.section(_bold(heading)):
            formatter.write_dl([(spelling.ljust(column), text) for spelling, text in rows])

    if command is commands.files:
        with formatter.section(_bold("Commands")):
            subcommands = commands.SUBCOMMANDS.items()
            formatter.write_dl([(name.ljust(column), text) for name, (_, text) in subcommands])
    with formatter.section(_bold("Examples")):
        formatter.write_dl(list(command.examples))
    with formatter.section(_bold("Exit status")):
        formatter.write_dl(list(commands.EXIT_STATUSES))


def short_help() -> str:
    """What ``nczip`` alone on a terminal says: the first few things that anybody wants."""
    examples = commands.files.examples[:4]
    column = max(len(line) for line, _ in examples)
    lines = [f"  {line.ljust(column)}  {text}" for line, text in examples]
    return "\n".join([f"nczip: {commands.PURPOSE}", "", *lines, "", "See nczip --help for more."])


def _bold(heading: str) -> str:
    return click.style(heading, bold=True) if sys.stdout.isatty() else heading
