"""Content that is unpacked where it is given out from, and archives that are read where they are."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from numbers_made import ARRAYS

import nczip
from nczip import _core

NUMBERS = np.concatenate([ARRAYS["bf16"]] * 9).tobytes()
TEXT = b"".join(b"record %d, worth %d\n" % (i, i * i) for i in range(5000))
CONTENT = TEXT + NUMBERS + bytes(100_000) + NUMBERS[:100_001]


@pytest.fixture(scope="module", params=[1, 2])
def archive(request: pytest.FixtureRequest) -> bytes:
    first = nczip.compress(CONTENT[:300_000], request.param, block_size=100_000)
    return first + nczip.compress(CONTENT[300_000:], request.param, block_size=70_000) + nczip.compress(b"")


def methods(archive: bytes) -> set[str]:
    return {block.method for frame in nczip.inspect(io.BytesIO(archive)).frames for block in frame.blocks}


@pytest.mark.parametrize("threads", [1, 3])
def test_whole(archive: bytes, threads: int) -> None:
    assert methods(archive) >= {"zstd", "planes"}
    for data in (archive, bytearray(archive), memoryview(archive)):
        assert nczip.decompress(data, threads=threads) == CONTENT


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("start", [0, 1, 99_999, 100_000, 300_000, 650_001, len(CONTENT), len(CONTENT) + 9])
def test_the_rest(archive: bytes, threads: int, start: int) -> None:
    with nczip.open(io.BytesIO(archive), threads=threads) as reader:
        reader.seek(start)
        assert reader.read() == CONTENT[start:]
        assert reader.read() == b""
        reader.seek(5)
        assert reader.read(10) == CONTENT[5:15]
        assert reader.read() == CONTENT[15:]


def test_what_was_given_out_stays_as_it_is(archive: bytes) -> None:
    with nczip.open(io.BytesIO(archive)) as reader:
        first = reader.read()
        reader.seek(0)
        second = reader.read()
    assert first == second == CONTENT


def test_from_a_pipe(archive: bytes) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(write, "wb") as pipe:
            pipe.write(archive)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe, nczip.open(pipe) as reader:
        assert reader.read() == CONTENT
    os.waitpid(child, 0)


def test_the_callers_buffer_is_not_kept_or_changed() -> None:
    given = bytearray(CONTENT)
    for threads in (1, 3):
        sink = io.BytesIO()
        with nczip.Writer(sink, 1, block_size=100_000, threads=threads) as writer:
            writer.write(given)
            assert given == CONTENT
            given[:] = bytes(len(given))  # whoever has a block still to pack has one of its own
        given[:] = CONTENT
        assert nczip.decompress(sink.getvalue()) == CONTENT


def test_gathered_grows() -> None:
    for expected in (0, 1, 10, 5 << 20):
        gathered = _core.Gathered(expected)
        for piece in (b"", b"abc", memoryview(TEXT), b"x" * 10):
            assert gathered.write(piece) == len(piece)
        assert gathered.finish() == b"abc" + TEXT + b"x" * 10
        with pytest.raises(ValueError, match="after it was given out"):
            gathered.write(b"more")
    assert _core.Gathered(100).finish() == b""


def test_content_is_not_written_beyond() -> None:
    content = _core.Content(10)
    for offset, size in ((0, 11), (1, 10), (10, 1), (1 << 60, 1)):
        with pytest.raises(IndexError):
            content.put(offset, bytes(size))
    content.put(0, b"0123456789")
    assert content.finish() == b"0123456789"
