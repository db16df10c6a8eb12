"""Whatever the content, and however it is written and read, the content comes back."""

from __future__ import annotations

import contextlib
import io
import struct

from hypothesis import given
from hypothesis import strategies as st

import nczip

levels = st.integers(1, 9)
runs = st.builds(lambda byte, length: bytes([byte]) * length, st.integers(0, 255), st.integers(0, 3000))
words = st.lists(
    st.sampled_from(
        [
            b"the ",
            b"of ",
            b"<|im_start|>",
            b" what a model has seen",
            b"\r\n",
            b"and\n",
            b"\xc3\xa9",
            b"\xff\xfe",
            b"\0\0\0\1",
        ]
    )
).map(b"".join)
repeats = st.builds(lambda unit, times: unit * times, st.binary(max_size=40), st.integers(0, 60))
noise = st.builds(
    lambda state, size: state.randbytes(size), st.randoms(use_true_random=False), st.integers(0, 9000)
)
numbers = st.builds(
    lambda dtype, values: struct.pack(f"<{len(values)}{dtype}", *values),
    st.sampled_from("efd"),
    st.lists(st.floats(-4, 4, width=16), max_size=3000),
)
contents = st.lists(
    st.one_of(numbers, runs, words, repeats, noise, st.binary(), st.text().map(str.encode)), max_size=5
).map(b"".join)
block_sizes = st.one_of(st.none(), st.integers(100, 20000))


@given(content=contents, level=levels, block_size=block_sizes, threads=st.integers(1, 3))
def test_bytes(content: bytes, level: int, block_size: int | None, threads: int) -> None:
    archive = nczip.compress(content, level, block_size=block_size, threads=threads)
    assert nczip.decompress(archive, threads=threads) == content
    assert archive == nczip.compress(content, level, block_size=block_size)
    if block_size is None:
        assert len(archive) <= len(content) + 18
    info = nczip.inspect(io.BytesIO(archive))
    assert (info.raw_size, info.packed_size) == (len(content), len(archive))


@given(
    pieces=st.lists(contents, max_size=6),
    level=levels,
    flush=st.booleans(),
    block_size=st.integers(500, 9000),
)
def test_streams(pieces: list[bytes], level: int, flush: bool, block_size: int) -> None:
    sink = io.BytesIO()
    with nczip.open(sink, "wb", level=level, block_size=block_size) as writer:
        for piece in pieces:
            writer.write(piece)
            if flush:
                writer.flush()
    sink.seek(0)
    with nczip.open(sink) as reader:
        assert b"".join(iter(lambda: reader.read(777), b"")) == b"".join(pieces)
        assert reader.size == sum(map(len, pieces))


@given(
    frames=st.lists(st.tuples(contents, levels, block_sizes), min_size=1, max_size=4),
    reads=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5000)), max_size=6),
)
def test_frames_and_seeks(
    frames: list[tuple[bytes, int, int | None]], reads: list[tuple[float, int]]
) -> None:
    archive = b"".join(nczip.compress(content, level, block_size=size) for content, level, size in frames)
    whole = b"".join(content for content, _, _ in frames)
    assert nczip.decompress(archive) == whole
    with nczip.open(io.BytesIO(archive)) as reader:
        for place, size in reads:
            start = reader.seek(int(place * len(whole)))
            assert reader.read(size) == whole[start : start + size]
        assert reader.size == len(whole)


@given(content=contents, level=levels, block_size=block_sizes, data=st.data())
def test_damage_is_noticed(content: bytes, level: int, block_size: int | None, data: st.DataObject) -> None:
    """Wrong bytes, bytes taken out, bytes put in: an error; and salvage gives no more than there was."""
    archive = nczip.compress(content, level, block_size=block_size)
    start = data.draw(st.integers(0, len(archive) - 1))
    taken = data.draw(st.integers(0, min(40, len(archive) - start)))
    put = data.draw(st.binary(max_size=40))
    damaged = archive[:start] + put + archive[start + taken :]
    if damaged == archive:
        return
    with contextlib.suppress(nczip.NczipError):
        assert nczip.decompress(damaged) == content  # only if what changed means the same
    sink = io.BytesIO()
    try:
        lost = nczip.salvage(io.BytesIO(damaged), sink)
    except nczip.NczipError:
        return
    assert len(sink.getvalue()) <= len(content)
    assert lost or sink.getvalue() == content


@given(data=st.binary(max_size=300))
def test_any_bytes_give_content_or_an_error(data: bytes) -> None:
    for archive in (data, b"\x9cNZ" + data, b"\x9cNZ\x17" + data, b"\x9cNZ\x1f" + data):
        try:
            nczip.decompress(archive)
        except nczip.NczipError:
            continue
