"""The folder of models. A file is named after its model and the hash by which archives know it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nczip.errors import MissingModelError, ModelFileError
from nczip.places import user_data

DEFAULT = "smollm2-135m"
Progress = Callable[[int, int], None]

_FILE = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)-(?P<id>[0-9a-f]{16})\.ncm")
_PIECE = 1 << 20
_LEAST_OF_HASH = 4  # digits that may stand for a hash


@dataclass(frozen=True)
class Stored:
    """A model file in the folder: its model's name, and the first 16 hexadecimal digits of its SHA-256."""

    path: Path
    name: str
    id: str


def directory() -> Path:
    """``$NCZIP_MODEL_DIR``, else ``nczip/models`` where this platform keeps a user's data."""
    return user_data("models", "NCZIP_MODEL_DIR")


def stored() -> list[Stored]:
    """The models in the folder, by name and then by hash."""
    found = ((path, _FILE.fullmatch(path.name)) for path in sorted(directory().glob("*.ncm")))
    return [Stored(path, match["name"], match["id"]) for path, match in found if match and path.is_file()]


def find(wanted: str | None) -> Path:
    """The model file that a path, a name or the beginning of a hash stands for; None is the default model.

    Of several with one name it is the one that this version fetches: an older one stays for its archives.
    Raises MissingModelError, which says how to get it, and ModelFileError where several could be meant.
    """
    here = stored()
    if wanted is None:
        fitting = [one for one in here if one.name == DEFAULT] or here
    elif os.sep in wanted or wanted.endswith(".ncm"):
        if not Path(wanted).is_file():
            raise MissingModelError(f"there is no model file {wanted}")
        return Path(wanted)
    else:
        fitting = [one for one in here if one.name == wanted] or [
            one for one in here if len(wanted) >= _LEAST_OF_HASH and one.id.startswith(wanted[:16].lower())
        ]
    if not fitting:
        what = "no model" if wanted is None else f"no model {wanted}"
        raise MissingModelError(f"{what} is in {directory()}; {_how_to_get(wanted)}")
    if len(fitting) > 1:
        fitting = [one for one in fitting if one.id in _fetched()] or fitting
    if len(fitting) > 1:
        which = ", ".join(f"{one.name} ({one.id})" for one in fitting)
        raise ModelFileError(f"several models could be meant, which a hash tells apart: {which}")
    return fitting[0].path


def by_id(wanted: bytes) -> Path:
    """The model file whose SHA-256 begins with these 8 bytes. Raises MissingModelError."""
    for one in stored():
        if one.id == wanted.hex():
            return one.path
    raise MissingModelError(f"the model {wanted.hex()} is not in {directory()}; {_how_to_get(wanted.hex())}")


def add(original: Path, name: str | None, on_progress: Progress) -> Path:
    """Makes a model file of a GGUF file or of a directory from Hugging Face, and keeps it.

    A model file (.ncm) is copied as it is: archives know it by its hash. ``name`` is what the model is to be
    called, None what it calls itself. ``on_progress`` gets the bytes written and the bytes in all. Raises
    ModelFileError, which names the original, and OSError.
    """
    from nczip.models import convert, gguf_source, huggingface
    from nczip.models.ncm import Model

    folder = directory()
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{os.getpid()}.part"
    try:
        with part.open("wb") as sink:
            if original.suffix == ".ncm":
                promised = Model(original)
                promised.verify()
                name = plain_name(promised.name if name is None else name)
                _copy(original, sink, promised.size, on_progress)
            else:
                read = huggingface.read if original.is_dir() else gguf_source.read
                source = read(original)
                name = plain_name(source.name if name is None else name)
                convert.write(source, sink, name=name, on_progress=on_progress)
            sink.flush()
            os.fsync(sink.fileno())
        model = Model(part)
        model.verify()
        model.encode(b"the tokenizer has to work too")
        target = folder / f"{name}-{model.id.hex()}.ncm"
        del model  # it maps the file, and some systems rename no file that is mapped
        part.replace(target)
    except ModelFileError as error:
        raise ModelFileError(f"{original}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _copy(original: Path, sink: BinaryIO, size: int, on_progress: Progress) -> None:
    with original.open("rb") as stream:
        while piece := stream.read(_PIECE):
            sink.write(piece)
            on_progress(sink.tell(), size)


def plain_name(name: str) -> str:
    """A name that can be a file's everywhere. Raises ModelFileError if nothing remains."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("._-")[:64].strip("._-")
    if not plain:
        raise ModelFileError("has no name that a file can have; --name gives it one")
    return plain


def _fetched() -> set[str]:
    from nczip.models.fetch import catalog

    return {known.model[:16] for known in catalog().values()}


def _how_to_get(wanted: str | None) -> str:
    from nczip.models.fetch import catalog

    for known in catalog().values():
        if wanted in (known.name, known.model[:16]):
            return f"nczip models fetch {known.name} gets it"
    return (
        f"nczip models fetch {DEFAULT} gets one"
        if wanted is None
        else "nczip models list shows what there is"
    )


def id_of(path: Path) -> bytes | None:
    """The name in archives that a file of the folder is named after; None for a file elsewhere."""
    match = _FILE.fullmatch(path.name)
    return bytes.fromhex(match["id"]) if match and path.parent == directory() else None
