"""What the fuzzer does with an input, and what it begins with.

The first byte picks how the rest is read. Odd: as it is. Even: with every checksum held to be right, since a
fuzzer would otherwise never get past the first one.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import nczip
from nczip import blocks, container, levels, reader

ROOT = Path(__file__).parents[2]
# Under libFuzzer nobody else says which model there is.
os.environ["NCZIP_MODEL_DIR"] = str(ROOT / "formats" / "vectors" / "next" / "models")
sys.path += [str(ROOT / "tests" / part) for part in ("attacks", "models")]
MEMORY = levels.PROCESS + levels.KNOWLEDGE + levels.TOKENIZER + (100 << 20)
MOST_CONTENT = 1 << 17  # bytes, after which an input is left alone: slow levels would take the fuzzer's time


class EnoughError(Exception):
    """The input gave as much content as the fuzzer waits for."""


def progress(raw: int, _packed: int) -> None:
    if raw > MOST_CONTENT:
        raise EnoughError


@contextlib.contextmanager
def no_checks() -> Iterator[None]:
    """All checksums are 0, in what is written and in what is read."""
    with (
        mock.patch.object(container, "zlib", SimpleNamespace(crc32=lambda *_: 0)),
        mock.patch.object(container, "_crc32", return_value=0),  # of much, by the core
        mock.patch.object(blocks, "content_hash", return_value=bytes(8)),
        mock.patch.object(reader.Reader, "_restart_hash", lambda self: setattr(self, "_hash", None)),
    ):
        yield


def one_input(data: bytes) -> None:
    """Raises if the archive is met with anything but content or one of nczip's errors."""
    archive = data[1:]
    if data[:1] and data[0] % 2 == 0:
        with no_checks():
            read(archive)
    else:
        content = read(archive)
        sink = io.BytesIO()
        with contextlib.suppress(nczip.NczipError):
            lost = nczip.salvage(io.BytesIO(archive), sink)
            assert lost or content is None or sink.getvalue() == content


def read(archive: bytes) -> bytes | None:
    """The content, or None after an error. Reads in order, at random and the headers alone."""
    content = None
    size = -1
    with contextlib.suppress(nczip.NczipError, EnoughError):
        with nczip.open(io.BytesIO(archive), memory=MEMORY, on_progress=progress) as file:
            content = file.read()
        size = nczip.inspect(io.BytesIO(archive)).raw_size
        assert size == len(content)
    with contextlib.suppress(nczip.NczipError, EnoughError):
        with nczip.open(io.BytesIO(archive), memory=MEMORY, on_progress=progress) as file:
            middle = file.seek(file.size // 2)
            tail = file.read()
        assert content is None or tail == content[middle:]
    return content


def seeds() -> Iterator[tuple[str, bytes]]:
    """Named inputs: golden and hostile archives, what the fuzzer once found, archives without checksums."""
    from forge import CONTENT, SPOKEN
    from hostile import ATTACKS
    from hostile_language import LANGUAGE_ATTACKS

    for path in sorted((ROOT / "formats" / "vectors").rglob("*.ncz")):
        yield f"{path.parent.name}-{path.stem}", b"\1" + path.read_bytes()
    for attack in [*ATTACKS, *LANGUAGE_ATTACKS]:
        yield attack.name.replace(" ", "-").replace(",", ""), b"\1" + attack.archive
    for path in sorted(Path(__file__).parent.glob("found/*")):
        yield f"found-{path.name}", path.read_bytes()
    noise = zlib.compress(CONTENT)[:300]
    with no_checks():
        for level in levels.LEVELS:
            content = SPOKEN if level in levels.LANGUAGE_LEVELS else CONTENT
            yield f"unchecked-solo-{level}", b"\0" + nczip.compress(content, level)
            full = nczip.compress(content[:900] + noise, level, block_size=400)
            yield f"unchecked-full-{level}", b"\0" + full
            yield f"unchecked-frames-{level}", b"\0" + full + nczip.compress(noise, level) + full
