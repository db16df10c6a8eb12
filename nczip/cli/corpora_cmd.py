"""``nczip corpora``: the test corpora that reports are made on."""

from typing import TYPE_CHECKING

import click

from nczip.cli.terminal import Console

if TYPE_CHECKING:
    from nczip.corpora import Corpus

_HELP = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=_HELP, invoke_without_command=True)
@click.pass_context
def corpora(ctx: click.Context) -> None:
    """List, fetch and verify test corpora.

    They lie in $NCZIP_CORPORA, or else where this system keeps a user's data. nczip ships none: it knows
    where they are published and what their bytes must be.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@corpora.command("list", short_help="show which are known and which are here", context_settings=_HELP)
def list_corpora() -> None:
    """Show the corpora that nczip knows, and which are on this machine."""
    from nczip.corpora import catalog, data_directory, present

    directory = data_directory()
    click.echo(f"In {directory}:")
    for corpus in catalog().values():
        here = len(present(corpus, directory))
        state = "here" if here == len(corpus.files) else f"{here} of {len(corpus.files)}" if here else "-"
        click.echo(
            f"  {corpus.name:<17} {state:<9} {len(corpus.files):>3} {corpus.size:>14,} bytes  {corpus.about}"
        )


@corpora.command("fetch", short_help="get some, and verify them", context_settings=_HELP)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def fetch_corpora(names: tuple[str, ...]) -> None:
    """Get corpora from where they are published, verify them, and keep them."""
    from nczip.cli import units
    from nczip.corpora import data_directory, fetch, verify

    directory = data_directory()
    console = Console(quiet=False, verbose=False)

    def show(url: str, done: int, expected: int | None) -> None:
        if console.draws:
            of = f" of {units.size(expected)}" if expected else ""
            console.draw(f"{url}  {units.size(done)}{of}")

    known = _known(names)
    for name in names:
        try:
            fetch(known[name], directory, among=known, on_progress=show)
        finally:
            console.clear()
        for finding in verify(known[name], directory):
            click.echo(f"{directory / finding.file.path}: {finding.by}")


@corpora.command("verify", short_help="compare with what their bytes must be", context_settings=_HELP)
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify_corpora(names: tuple[str, ...]) -> int:
    """Compare the named corpora, or all that are on this machine, with what their bytes must be."""
    from nczip.corpora import data_directory, present, verify

    directory = data_directory()
    known = _known(names)
    wanted = names or [name for name, corpus in known.items() if present(corpus, directory)]
    if not wanted:
        click.echo(f"no corpus is in {directory}; nczip corpora fetch NAME gets one")
        return 1
    status = 0
    for name in wanted:
        for finding in verify(known[name], directory):
            click.echo(f"{finding.file.path}: {finding.problem or f'ok ({finding.by})'}")
            status = 1 if finding.problem else status
    return status


def _known(names: tuple[str, ...]) -> "dict[str, Corpus]":
    from nczip.corpora import catalog

    corpora_by_name = catalog()
    for name in names:
        if name not in corpora_by_name:
            raise click.UsageError(f"no corpus is called {name}; there are {', '.join(corpora_by_name)}")
    return corpora_by_name
