"""``nczip -l``: what archives hold, read from their headers."""

from collections import Counter
from collections.abc import Iterator, Sequence

import click

import nczip
from nczip import knowledge
from nczip.cli import units
from nczip.cli.files import Source, open_source
from nczip.cli.options import Settings
from nczip.cli.terminal import shown

_HEADER = ("Frames", "Blocks", "Packed", "Content", "Ratio", "bpb", "Method", "Archive")
_ROW = "{:>6}  {:>6}  {:>10}  {:>10}  {:>7}  {:>6}  {:<16}  {}"


class Listing:
    """Prints one archive after another, and at the end their sum: as rows, or with -v in full."""

    def __init__(self, settings: Settings, bases: Sequence[nczip.Base]) -> None:
        self._settings = settings
        self._bases = bases
        self._rows = 0
        self._sums = [0, 0, 0, 0]

    def add(self, source: Source) -> None:
        """Reads and prints one archive. Raises as ``nczip.inspect`` does."""
        file, _ = open_source(source, self._settings)
        with file:
            info = nczip.inspect(file, base=self._bases)
        if self._settings.verbose:
            if self._rows:
                click.echo()
            _describe(source.name, info)
        else:
            if not self._rows:
                click.echo(_ROW.format(*_HEADER))
            numbers = [len(info.frames), _blocks(info).total(), info.packed_size, info.raw_size]
            self._sums = [total + number for total, number in zip(self._sums, numbers, strict=True)]
            methods = [_method(one) for one in _all_blocks(info)]
            click.echo(_row(numbers, " ".join(dict.fromkeys(methods)) or "raw", shown(source.name)))
        self._rows += 1

    def finish(self) -> None:
        """Prints the sum of several rows."""
        if self._rows > 1 and not self._settings.verbose:
            click.echo(_row(self._sums, "", f"{self._rows} archives"))


def _row(numbers: list[int], method: str, name: str) -> str:
    frames, blocks, packed, raw = numbers
    ratio, bpb = (f"{raw / packed:.3f}", f"{8 * packed / raw:.3f}") if raw else ("-", "-")
    return _ROW.format(frames, blocks, units.size(packed), units.size(raw), ratio, bpb, method, name)


def _blocks(info: "nczip.ArchiveInfo") -> Counter[str]:
    """How many blocks each method packed."""
    return Counter(block.method for block in _all_blocks(info))


def _all_blocks(info: "nczip.ArchiveInfo") -> Iterator["nczip.BlockInfo"]:
    return (block for frame in info.frames for block in frame.blocks)


def _method(block: "nczip.BlockInfo") -> str:
    name = model_name(block.model) if block.model else block.method
    return name if block.base is None else f"{name}+{block.base}"


def model_name(model: str) -> str:
    """What a language model is called on this machine, else what the archive calls it."""
    from nczip.models import store

    return next((one.name for one in store.stored() if one.id == model), model)


def _model(model: str) -> str:
    """A language model that an archive needs: what it is called, its size, or how to get it."""
    from nczip.models import store

    try:
        path = store.by_id(bytes.fromhex(model))
    except nczip.MissingModelError as missing:
        _, _, how_to_get_it = str(missing).partition("; ")
        return f"{model}, not here ({how_to_get_it})"
    return f"{model_name(model)} ({model}), {units.size(path.stat().st_size)}"


def _describe(name: str, info: "nczip.ArchiveInfo") -> None:
    raw, packed = info.raw_size, info.packed_size
    counts = _blocks(info)
    forms = Counter(frame.form for frame in info.frames)
    models = [_model(model) for model in info.models]
    if {"mixture", "language"} & {word for method in counts for word in method.split()}:
        models.append(f"{units.size(knowledge.packed_size())} of built-in knowledge")
    need = info.memory_needed
    levels = sorted({frame.level for frame in info.frames if frame.level is not None})
    lines = {
        "Content": f"{raw} bytes ({units.size(raw)})",
        "Archive": f"{packed} bytes ({units.size(packed)})",
        "Ratio": f"{raw / packed:.3f}, {8 * packed / raw:.3f} bits per byte" if raw else "-",
        "Format": f"NCZ{max(frame.version for frame in info.frames)}",
        "Frames": ", ".join(f"{count} {form}" for form, count in forms.items()),
        "Level": ", ".join(map(str, levels)),
        "Blocks": ", ".join(f"{count} {method}" for method, count in counts.items()),
        "Block size": f"{units.size(max(frame.max_block for frame in info.frames))} at most",
        "Memory": f"not known without the {'base' if info.bases else 'model'}"
        if need is None
        else f"{units.size(need)} to decode with one thread",
        "Model": "; ".join(models if info.models else ["none", *models]),
        "Base": ", ".join(f"the file whose SHA-256 begins with {base}" for base in info.bases),
    }
    click.echo(f"{shown(name)}")
    for label, text in lines.items():
        if text:
            click.echo(f"  {label + ':':<12}{text}")
