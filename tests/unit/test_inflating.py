"""Blocks with deflate streams in them: where these are found, what is left alone, what decoders refuse."""

from __future__ import annotations

import contextlib
import gzip
import io
import random
import struct
import zipfile
import zlib
from dataclasses import replace

import pytest

import nczip
from nczip import CorruptError, blocks, chunks, container, inflating, levels
from nczip.container import INFLATED, MIXTURE, BytesSource, Method, varint
from nczip.inflating import Inflated

PROSE = b"".join(
    b"On day %d the %s was %d steps from the %s.\n"
    % (i, [b"cat", b"house", b"old man"][i % 3], i * i % 53, [b"river", b"tower"][i * 7 % 5 % 2])
    for i in range(700)
)


def inflate(raw: bytes, most: int = 1 << 24) -> Inflated | None:
    found = inflating.inflate(memoryview(raw), most, lambda: None)
    return None if found is None else found[0]


def content_of(made: Inflated) -> bytes:
    return made.content[: len(made.content) - made.table_size]


def zipped(level: int = 6) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name in ("one.txt", "two.txt"):
            archive.writestr(zipfile.ZipInfo(name), name.encode() + PROSE, zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("stored"), PROSE[:99])
    return sink.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png(*sizes: int) -> bytes:
    """A picture whose image data are in chunks of these sizes, and one for the rest."""
    rows = b"".join(b"\1" + bytes(x * y // 7 % 31 for x in range(300)) for y in range(200))
    stream = zlib.compress(rows, 9)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 300, 200, 8, 0, 0, 0, 0))
    for size in sizes:
        out += chunk(b"IDAT", stream[:size])
        stream = stream[size:]
    return out + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


def pdf() -> bytes:
    out = b"%PDF-1.4\n"
    for number in range(5):
        stream = zlib.compress(b"%d 0 0 m\n" % number + PROSE)
        out += b"%d 0 obj\n<</Length %d/Filter/FlateDecode>>\nstream\n" % (number + 1, len(stream))
        out += stream + b"\nendstream\nendobj\n"
    return out + b"trailer\n<<>>\n%%EOF\n"


FILES = {
    "zip": zipped(),
    "zip, fastest": zipped(1),
    "gzip": gzip.compress(PROSE, mtime=0),
    "gzip with a name": b"\x1f\x8b\x08\x1c"
    + bytes(6)
    + b"\3\0abcname\0comment\0"
    + gzip.compress(PROSE)[10:],
    "png": png(),
    "png in chunks": png(100, 100, 100, 100),
    "png in odd chunks": png(100, 7, 0, 7, 7, 0),
    "pdf": pdf(),
    "zlib": b"before " + zlib.compress(PROSE) + b" after",
    "small window": (lambda coder: coder.compress(PROSE) + coder.flush())(zlib.compressobj(6, 8, 10)),
    "two of a kind": zlib.compress(PROSE) * 2,
}


@pytest.mark.parametrize("name", FILES)
def test_streams_are_found(name: str) -> None:
    raw = FILES[name]
    made = inflate(raw)
    assert made is not None
    assert inflating.deflate(made, len(raw), lambda: None) == raw
    assert len(made.recipe) < 60
    assert PROSE in content_of(made) or "png" in name
    assert inflate(content_of(made)) is None


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("level", [4, 8])
def test_round_trip(name: str, level: int) -> None:
    raw = FILES[name]
    archive = nczip.compress(raw, level)
    assert nczip.inspect(io.BytesIO(archive)).frames[0].blocks[0].method.startswith("inflated")
    assert len(archive) < len(raw)
    assert nczip.decompress(archive) == raw
    with nczip.open(io.BytesIO(archive)) as reader:
        reader.seek(len(raw) - 3)
        assert reader.read() == raw[-3:]


@pytest.mark.parametrize("level", [1, 2, 3])
def test_fast_levels_do_not_look(level: int) -> None:
    assert INFLATED not in {method.id for method in levels.plan(level).methods}


def test_what_can_be_computed_is_left_out() -> None:
    for raw, kept in ((zlib.compress(PROSE), 2), (gzip.compress(PROSE), 10), (zipped(), None)):
        made = inflate(raw)
        assert made is not None
        if kept is not None:
            assert len(content_of(made)) == kept + len(PROSE)
    damaged = bytearray(zlib.compress(PROSE))
    damaged[-1] ^= 1
    made = inflate(bytes(damaged))
    assert made is not None
    assert len(content_of(made)) == 2 + len(PROSE) + 4
    assert inflating.deflate(made, len(damaged), lambda: None) == damaged


def test_a_stream_that_the_block_cuts() -> None:
    state = random.Random(5)
    text = b" ".join(PROSE.split()[state.getrandbits(12) % 4000] for _ in range(20000))
    raw = zlib.compress(text)
    part = raw[: len(raw) // 2]
    made = inflate(part)
    assert made is not None
    assert inflating.deflate(made, len(part), lambda: None) == part
    assert len(content_of(made)) > 0.4 * len(text)


def test_no_more_than_there_is_room_for() -> None:
    state = random.Random(5)
    text = b" ".join(PROSE.split()[state.getrandbits(12) % 4000] for _ in range(20000))
    raw = zlib.compress(text) + b"and more"
    for most in (len(raw) + 1, 2 * len(raw), 3 * len(raw)):
        made = inflate(raw, most)
        if made is not None:
            assert len(made.content) <= most
            assert inflating.deflate(made, len(raw), lambda: None) == raw
    assert made is not None
    assert len(made.content) > 2 * len(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"PK\3\4",
        b"\x1f\x8b\x08",
        b"\x1f\x8b\x08\x1f",
        b"PK\3\4" + bytes(30),
        b"\x78\x9c" * 3000,
        zlib.compress(bytes(1 << 20)),  # a stream of next to nothing
        zlib.compress(random.Random(2).randbytes(50000)),  # and one that did not gain anything
        chunk(b"IDAT", b"\x78\x9cnothing"),
        b"IDAT" * 500,
        random.Random(3).randbytes(200000),
    ],
)
def test_left_alone(raw: bytes) -> None:
    assert inflate(raw) is None


class TestBlocks:
    def test_never_larger(self) -> None:
        """What is hardly smaller when inflated is packed as it is, if that is smaller."""
        state = random.Random(7)
        raw = zlib.compress(bytes(state.choice(b"\0\0\0\xff") ^ state.getrandbits(6) for _ in range(20000)))
        plan = levels.plan(4)
        quiet = lambda _raw, _packed: None  # noqa: E731
        chosen = blocks.pack(plan.methods, 4, raw, quiet)
        plain = blocks.pack(replace(plan, transforms=False).methods, 4, raw, quiet)
        assert len(chosen.data) <= len(plain.data)

    def test_steps_stop_it_while_streams_are_taken_apart(self) -> None:
        class StopError(Exception):
            pass

        def stop() -> None:
            raise StopError

        with pytest.raises(StopError):
            inflating.inflate(memoryview(FILES["zlib"]), 1 << 20, stop)

    def test_progress(self) -> None:
        seen: list[int] = []
        raw = FILES["pdf"]
        packed = blocks.pack(levels.plan(4).methods, 4, raw, lambda done, _packed: seen.append(done))
        assert seen[-1] == len(raw)
        assert seen == sorted(seen)
        assert packed.method.id == INFLATED

    def test_memory(self) -> None:
        """A limit that leaves no room for inflated content takes blocks as they are."""
        full = levels.plan(5)
        plain = levels.plan(5, memory=full.memory - 1)
        assert full.transforms
        assert not plain.transforms
        assert plain.method == full.method

    def test_small_blocks_have_no_streams(self) -> None:
        assert INFLATED not in {method.id for method in levels.plan(5, block_size=1000).methods}

    def test_tables_stay_as_they_are(self) -> None:
        plan = levels.plan(6, block_size=20000)
        inner = container.inner_of(plan.methods[-1])
        assert inner is not None
        assert inner.id == MIXTURE
        assert inner != plan.method


class TestHostile:
    def refuse(
        self, table: bytes, content: bytes = b"content", recipe: bytes = b"", raw_size: int = 999
    ) -> None:
        with pytest.raises(CorruptError):
            inflating.deflate(Inflated(content + table, len(table), recipe), raw_size, lambda: None)

    @pytest.mark.parametrize(
        "table",
        [
            b"",
            b"\0",
            b"\xff" * 9 + b"\1",
            b"\0\1",
            b"\0\1\0",
            b"\0\1" + varint(8) + b"\0",
            b"\0\1" + varint(1 << 60) + b"\0",
            b"\0\1\0" + varint(1 << 60),
            b"\0\1\0" + varint(8 << 2),
            b"\1\0\0\0",
            b"\1" + varint(8) + b"\0\0\0\0",
            b"\1\0\0\0" + varint(8) + b"\0",
            b"\1\0" + varint(1 << 62) + b"\0\0\0",
            b"\1\0" + varint(1000) + b"\0\0\0",
            varint(1 << 62) + b"\0\0\0\0" * 1000,
        ],
    )
    def test_tables(self, table: bytes) -> None:
        self.refuse(table)

    @pytest.mark.parametrize("recipe", [b"", b"\xff" * 30, bytes(30), random.Random(1).randbytes(300)])
    @pytest.mark.parametrize("size", [1, 7])
    def test_recipes(self, recipe: bytes, size: int) -> None:
        """Any recipe means something or is refused; bytes beyond the block's are never made."""
        table = b"\0\1\0" + varint(size << 2)
        made = Inflated(b"content" + table, len(table), recipe)
        with contextlib.suppress(CorruptError):
            assert len(inflating.deflate(made, 30, lambda: None)) <= 64

    def test_claims(self) -> None:
        with pytest.raises(CorruptError, match="claims to inflate"):
            inflating.part(varint(1001) + b"\0\0", 1000)
        for packed in (b"", b"\1", b"\1\2\0", b"\7\0\5abc"):
            with pytest.raises(CorruptError):
                inflating.part(packed, 1000)

    def test_one_wrapper_is_enough(self) -> None:
        inner = container.wrapped(INFLATED, b"", Method(MIXTURE, b"\2\5\x1c"))
        for method in (container.wrapped(INFLATED, b"", inner), Method(INFLATED)):
            frame = container.full_frame([method], 1000)
            with pytest.raises(nczip.NewerVersionError):
                container.read_frame(BytesSource(frame))


def test_chunks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of a few bytes must not stand for millions of chunks, nor be one of millions of runs."""
    with pytest.raises(CorruptError, match="claim"):
        chunks.part([(0, chunks.MOST, 0, 0)], b"", 1 << 28)
    with pytest.raises(CorruptError, match="claim"):
        chunks.read(container.BytesSource(container.varint(chunks.MOST + 1) + bytes(99)))
    raw = png(100, 100, 100)
    monkeypatch.setattr(chunks, "MOST", 2)
    table, joined, images = chunks.join(raw)
    assert [end - begin for begin, end in images] == [200]
    assert chunks.part(chunks.read(container.BytesSource(table)), joined, len(raw)) == raw


def test_chunks_that_are_damaged_stay_as_they_are() -> None:
    raw = bytearray(png(100, 100, 100))
    raw[-40] ^= 1  # in the last chunk
    table, joined, images = chunks.join(bytes(raw))
    assert len(images) == 1
    assert chunks.part(chunks.read(BytesSource(table)), joined, len(raw)) == raw
