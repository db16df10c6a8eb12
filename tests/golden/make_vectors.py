"""Writes formats/vectors/next/: archives of every layout and method, their content, and a manifest.

    python tests/golden/make_vectors.py

Run it after a change of the format or of the mixture. A release copies the folder to one of its own name,
which nobody writes again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import random
import struct
import sys
import textwrap
import zlib
from collections.abc import Callable
from pathlib import Path

import nczip
from nczip import _core, base, blocks, container, language, levels, tensors
from nczip.container import MIXTURE, TENSOR, Method

sys.path.append(str(Path(__file__).parents[1] / "models"))
import speaking

NEXT = Path(__file__).parents[2] / "formats" / "vectors" / "next"

SENTENCE = "the coder mixes what a model has seen of bits and bytes and makes each one cheaper than before"
WORDS = SENTENCE.split()
SCRIPTS = "naïve, é東🤽 こんにちは <|im_start|>\r\n"


def prose(size: int) -> bytes:
    """Text-like bytes, the same with every Python, which only promises stable raw bits of a seeded Random."""
    state = random.Random(1)
    text = ""
    while len(text) < size:
        text += WORDS[state.getrandbits(16) % len(WORDS)] + (".\n" if state.getrandbits(4) == 0 else " ")
    return text[:size].encode()


def wrapped(end: bytes) -> bytes:
    """Prose in paragraphs of lines of 40 columns."""
    paragraphs = prose(4000).decode().replace(".\n", ". ").split(". ")
    lines = [line for text in paragraphs for line in [*textwrap.wrap(text, 40), ""]]
    return b"".join(line.encode() + end for line in lines)


def noise(size: int) -> bytes:
    """Bytes that nothing makes smaller."""
    return hashlib.shake_256(b"nczip").digest(size)


def weights(count: int) -> bytes:
    """Numbers in bfloat16 that are about normally distributed."""
    state = noise(8 * count)
    sums = (sum(state[i : i + 8]) - 1020 for i in range(0, 8 * count, 8))
    return b"".join(struct.pack("<f", one / 4096)[2:] for one in sums)


def deflated(content: bytes, recipe: str) -> bytes:
    """A zlib stream as zlib itself wrote it once; versions of zlib differ, recipes do not."""
    rebuilder = _core.DeflateRebuilder(bytes.fromhex(recipe))
    rebuilder.begin(content, len(content))
    while (stream := rebuilder.advance()) is None:
        pass
    return b"\x78\x9c" + stream + zlib.adler32(content).to_bytes(4, "big")


def chunk(data: bytes) -> bytes:
    """Image data of a PNG file."""
    return len(data).to_bytes(4, "big") + b"IDAT" + data + zlib.crc32(b"IDAT" + data).to_bytes(4, "big")


LEVEL_6 = deflated(prose(3000), "e6204b1e165c9c940f4a")
LEVEL_9 = deflated(prose(9000)[3000:] + bytes(range(200)) * 4, "e6204b1407e95178aa04")


BASE = prose(2000) + noise(600)  # what both sides have


def _like(kind: int) -> bytes:
    """Some rows of 256 numbers of a kind of tensors, and a few bytes more."""
    unit = tensors.UNITS[kind]
    content = bytearray(byte & 0x77 for byte in noise(4 + 1600 // unit * unit))
    scale = {2: 1, 4: 3, 8: 7}.get(unit, 209 if tensors.KINDS[kind] == "Q6_K" else 1)
    for start in range(3, len(content) - unit, unit):
        if unit > 1:  # the upper byte of a scale, or of a float
            content[start + scale] = 0x38 + content[start + scale] % 4
    return bytes(content)


def _tuned(kind: int) -> tuple[bytes, bytes]:
    """Numbers near those that bytes of the base are, not all of them others; and these."""
    unit = tensors.UNITS[kind]
    begin = 300 + kind
    by = BASE[begin : begin + 2000 // unit * unit]  # of blocks of quants all bytes mean something
    content = bytearray(noise(2 % unit) + by + noise(min(1, unit - 1)))
    state = noise(2000)
    for start in range(2 % unit, len(content) - unit, 3 * unit):
        if start // unit % 700 > 300:
            content[start] ^= state[start] & 15
    return bytes(content), by


def _channels(rows: int, columns: int) -> list[int]:
    """Rows of numbers that can be told from those before them."""
    state = noise(8 * rows * columns)
    values: list[int] = []
    for i in range(rows * columns):
        before = values[-1] if i % columns else 0
        values.append(sum(state[8 * i : 8 * i + 8]) - 1020 + before * 3 // 4)
    return values


def _q8_0(values: list[int]) -> bytes:
    """Blocks of 32, all with a scale of 2^-6."""
    q = [min(max(value // 16, -127), 127) & 255 for value in values]
    return b"".join(b"\0\x24" + bytes(q[start : start + 32]) for start in range(0, len(q), 32))


CHANNELS = {  # by kind: content, elements of a row
    "BF16": (b"".join(struct.pack("<f", value / 4096)[2:] for value in _channels(90, 24)), 24),
    "Q8_0": (_q8_0(_channels(70, 64)), 64),
}


CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "byte": b"n",
    "prose": prose(3000),
    "noise": noise(1000),
    "zeros": bytes(20000),
    "mixed": prose(2500) + noise(2000) + prose(500),
    # What has no tokens, or is no text, goes through the model all the same.
    "scripts": prose(700) + SCRIPTS.encode() * 3 + bytes(range(256)) + prose(700),
    "weights": prose(301) + weights(4000),
    "tensors": b"".join(_like(kind) for kind in range(len(tensors.KINDS))),
    "tuned": b"".join(_tuned(kind)[0] for kind in range(len(tensors.KINDS))),
    "channels": b"".join(content for content, _ in CHANNELS.values()),
    "records": prose(2001) + weights(4500) + bytes(3000) + noise(1000),
    # One in chunks, one as it is, and one that is cut off.
    "streams": chunk(LEVEL_9[:500]) + chunk(LEVEL_9[500:]) + b"\r\n" + LEVEL_6 + noise(50) + LEVEL_9[:-100],
    "wrapped": wrapped(b"\n"),
    "wrapped-crlf": wrapped(b"\r\n"),
    "several": prose(3000) + noise(1000) + prose(1500),
    "record": prose(2300)[1700:] + noise(500)[300:],
    "version": prose(1500) + b"What is new." + prose(2000)[1400:] + noise(600)[100:] + prose(2600)[2000:],
}


def _flushed(level: int, *parts: bytes) -> bytes:
    sink = io.BytesIO()
    with nczip.Writer(sink, level, block_size=1 << 16) as writer:
        for part in parts:
            writer.write(part)
            writer.flush()
    return sink.getvalue()


def _packed_by_model(level: int, content: bytes) -> bytes:
    """An archive whose only block went through the language model."""
    sink = io.BytesIO()
    with nczip.Writer(sink, level) as writer:
        writer.plan = dataclasses.replace(writer.plan, otherwise=None)
        writer.write(content)
    return sink.getvalue()


def _smallest_tables(level: int) -> bytes:
    smallest = Method(MIXTURE, _core.mixture_config(min(level, levels.OTHERWISE), 1))
    sink = io.BytesIO()
    with nczip.Writer(sink, level) as writer:
        if level in levels.LANGUAGE_LEVELS:
            *_, method = language.smaller(writer.plan.method)
            writer.plan = dataclasses.replace(writer.plan, method=method, otherwise=smallest)
        else:
            writer.plan = dataclasses.replace(writer.plan, method=smallest)
        writer.write(CONTENTS["prose"])
    return sink.getvalue()


def _tensor(raw: bytes, kind: int, phase: int, row: int) -> bytes:
    """A frame whose only block went by method 5, though that may not be the smallest."""
    packed = tensors.pack(memoryview(raw), tensors.Elements(kind, phase, row), lambda *_: None)
    assert packed is not None
    name = container.solo_name(container.NAMED_FORM, Method(TENSOR))
    head = container.solo_frame(container.NAMED_FORM, len(raw), packed, blocks.content_hash(raw), name)
    return head + packed


def _by_reference(kind: int) -> bytes:
    """The same with a base, part of which numbers are coded by."""
    raw, by = _tuned(kind)
    found = tensors.Reference(BASE.index(by), memoryview(by))
    unit = tensors.UNITS[kind]
    elements = tensors.Elements(kind, 2 % unit, len(by) // unit // 40 if unit <= 8 else 100)
    packed = tensors.pack(memoryview(raw), elements, lambda *_: None, found)
    assert packed is not None
    method = base.around(Method(TENSOR), base.Base(BASE))
    name = container.solo_name(container.NAMED_FORM, method)
    head = container.solo_frame(container.NAMED_FORM, len(raw), packed, blocks.content_hash(raw), name)
    return head + packed


def _several(level: int) -> bytes:
    solo = nczip.compress(CONTENTS["prose"], level)
    flushed = _flushed(level, prose(1000), prose(1500)[1000:])
    return solo + nczip.compress(CONTENTS["noise"]) + nczip.compress(b"") + flushed


VECTORS: dict[str, tuple[str, Callable[[], bytes]]] = {  # name: content, how to make it
    "empty": ("empty", lambda: nczip.compress(b"")),
    "byte": ("byte", lambda: nczip.compress(b"n")),
    "stored": ("noise", lambda: nczip.compress(CONTENTS["noise"])),
    **{
        f"prose-{level}": ("prose", lambda level=level: nczip.compress(CONTENTS["prose"], level))
        for level in levels.LEVELS
    },
    "zeros-1": ("zeros", lambda: nczip.compress(CONTENTS["zeros"], 1)),
    "zeros-5": ("zeros", lambda: nczip.compress(CONTENTS["zeros"], 5)),
    # Blocks of 1,024 bytes: packed ones and stored ones, in a full frame with an index.
    "mixed-3": ("mixed", lambda: nczip.compress(CONTENTS["mixed"], 3, block_size=1024)),
    "mixed-5": ("mixed", lambda: nczip.compress(CONTENTS["mixed"], 5, block_size=1024)),
    # Blocks by the language model and stored ones, in one frame.
    "mixed-8": ("mixed", lambda: nczip.compress(CONTENTS["mixed"], 8, block_size=1024)),
    "zeros-8": ("zeros", lambda: nczip.compress(CONTENTS["zeros"], 8)),
    "scripts-7": ("scripts", lambda: _packed_by_model(7, CONTENTS["scripts"])),
    "scripts-8": ("scripts", lambda: _packed_by_model(8, CONTENTS["scripts"])),
    "scripts-9": ("scripts", lambda: _packed_by_model(9, CONTENTS["scripts"])),
    "streams-4": ("streams", lambda: nczip.compress(CONTENTS["streams"], 4)),
    "streams-6": ("streams", lambda: nczip.compress(CONTENTS["streams"], 6)),
    "streams-9": ("streams", lambda: nczip.compress(CONTENTS["streams"], 9)),
    **{
        f"wrapped-{level}": ("wrapped", lambda level=level: nczip.compress(CONTENTS["wrapped"], level))
        for level in (5, 7, 8)
    },
    "wrapped-crlf-6": ("wrapped-crlf", lambda: nczip.compress(CONTENTS["wrapped-crlf"], 6)),
    # Blocks with and without their line ends, side by side.
    "wrapped-blocks-8": (
        "wrapped-crlf",
        lambda: nczip.compress(CONTENTS["wrapped-crlf"], 8, block_size=2600),
    ),
    "flushed-2": ("prose", lambda: _flushed(2, prose(1000), prose(3000)[1000:])),
    # As under a memory limit: the configuration is no level's own, so the only block's frame names it.
    "limited-6": ("prose", lambda: _smallest_tables(6)),
    "limited-9": ("prose", lambda: _smallest_tables(9)),
    # Numbers that begin at an odd place, after text.
    "weights-2": ("weights", lambda: nczip.compress(CONTENTS["weights"], 2)),
    "weights-4": ("weights", lambda: nczip.compress(CONTENTS["weights"], 4)),
    "weights-5": ("weights", lambda: nczip.compress(CONTENTS["weights"], 5)),
    # Every kind of number that tensors know, each a frame: what samples would not choose as well.
    "tensors": (
        "tensors",
        lambda: b"".join(
            _tensor(_like(kind), kind, 3 % tensors.UNITS[kind], 256) for kind in range(len(tensors.KINDS))
        ),
    ),
    "channels": (
        "channels",
        lambda: b"".join(
            _tensor(content, tensors.KINDS.index(kind), 0, row) for kind, (content, row) in CHANNELS.items()
        ),
    ),
    "tuned": ("tuned", lambda: b"".join(_by_reference(kind) for kind in range(len(tensors.KINDS)))),
    "records-1": ("records", lambda: nczip.compress(CONTENTS["records"], 1, block_size=5000)),
    # With a base: a record, and blocks of 512 bytes of a newer version.
    **{
        f"record-{level}": (
            "record",
            lambda level=level: nczip.compress(CONTENTS["record"], level, base=BASE),
        )
        for level in range(1, levels.OTHERWISE + 1)
    },
    **{
        f"version-{level}": (
            "version",
            lambda level=level: nczip.compress(CONTENTS["version"], level, base=BASE, block_size=512),
        )
        for level in (2, 5)
    },
    "several-1": ("several", lambda: _several(1)),
    "several-4": ("several", lambda: _several(4)),
    "several-7": ("several", lambda: _several(7)),
}


def main() -> None:
    """Writes what is missing or differs, and says so."""
    (NEXT / "content").mkdir(parents=True, exist_ok=True)
    manifest = {}
    speaking.write()
    os.environ["NCZIP_MODEL_DIR"] = str(speaking.MODELS)
    files = {NEXT / "content" / f"{name}.bin": content for name, content in CONTENTS.items()}
    files |= {path: path.read_bytes() for path in speaking.MODELS.iterdir()}
    files[NEXT / "content" / "base.bin"] = BASE
    for name, (content, make) in VECTORS.items():
        archive = make()
        files[NEXT / f"{name}.ncz"] = archive
        manifest[f"{name}.ncz"] = {
            "content": f"content/{content}.bin",
            "content_sha256": hashlib.sha256(CONTENTS[content]).hexdigest(),
            "archive_sha256": hashlib.sha256(archive).hexdigest(),
        }
    files[NEXT / "manifest.json"] = (json.dumps(manifest, indent=1) + "\n").encode()
    for path in NEXT.rglob("*.*"):
        if path not in files:
            path.unlink()
            print("removed", path.name)
    for path, data in files.items():
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
            print("wrote", path.name, len(data))


if __name__ == "__main__":
    main()
