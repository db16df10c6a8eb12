"""Writer and Reader as files: blocks, frames, seeking, threads, interrupts, memory."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from sinks import NullSink

import nczip
from nczip import blocks

LEVELS = [1, 5, 8]


class Pipe(io.RawIOBase):
    """A source of endless or given content that can't be sought, and gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int = 1 << 16) -> None:
        self._data = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        return self._data.readinto(memoryview(buffer)[: self._step])


def archive_of(*frames: bytes, level: int = 1, **options: int) -> bytes:
    return b"".join(nczip.compress(frame, level, **options) for frame in frames)


def form_of(archive: bytes) -> list[str]:
    return [frame.form for frame in nczip.inspect(io.BytesIO(archive)).frames]


@pytest.mark.parametrize("level", LEVELS)
class TestWriter:
    def test_one_block_is_a_solo_frame(self, level: int, text: bytes) -> None:
        assert form_of(nczip.compress(text, level, block_size=len(text))) == ["solo"]
        assert form_of(nczip.compress(text, level, block_size=len(text) - 1)) == ["full"]

    def test_bytes_do_not_depend_on_how_they_come(self, level: int, text: bytes, noise: bytes) -> None:
        content = text + noise[:3000] + text
        whole = nczip.compress(content, level, block_size=1500)
        for threads in (1, 2, 5):
            for step in (1, 700, 1500, 1501, 10**6):
                sink = io.BytesIO()
                with nczip.open(sink, "wb", level=level, block_size=1500, threads=threads) as writer:
                    for start in range(0, len(content), step):
                        writer.write(memoryview(content)[start : start + step])
                assert sink.getvalue() == whole

    def test_flush_ends_a_block_and_a_reader_gets_it(self, level: int, text: bytes) -> None:
        sink = io.BytesIO()
        writer = nczip.open(sink, "wb", level=level, threads=2)
        writer.flush()
        assert sink.getvalue() == b""
        for _ in range(3):
            writer.write(text)
            writer.flush()
            writer.flush()
        reader = nczip.open(Pipe(sink.getvalue()))
        assert [reader.read1() for _ in range(3)] == [text] * 3
        with pytest.raises(nczip.TruncatedError):
            reader.read()
        writer.close()
        assert nczip.decompress(sink.getvalue()) == text * 3

    def test_sizes(self, level: int, text: bytes) -> None:
        sink = io.BytesIO()
        with nczip.open(sink, "wb", level=level, block_size=1000) as writer:
            writer.write(text)
            assert writer.raw_size == len(text)
        assert writer.packed_size == len(sink.getvalue())

    def test_abort_and_errors_leave_an_archive_that_looks_cut_off(self, level: int, text: bytes) -> None:
        sink = io.BytesIO()
        writer = nczip.open(sink, "wb", level=level, block_size=1000)
        with pytest.raises(TypeError), writer:
            writer.writelines([text, None])  # type: ignore[list-item]
        assert writer.closed
        with pytest.raises(nczip.TruncatedError):
            nczip.decompress(sink.getvalue())
        with pytest.raises(ValueError, match="closed"):
            writer.write(b"more")

    def test_a_forgotten_writer_does_not_finish(self, level: int, text: bytes) -> None:
        sink = io.BytesIO()
        writer = nczip.open(sink, "wb", level=level)
        writer.write(text)
        del writer
        assert sink.getvalue() == b""

    def test_sink_that_fails(self, level: int, text: bytes) -> None:
        class Full(NullSink):
            def write(self, data) -> int:
                raise OSError(28, "No space left on device")

        writer = nczip.open(Full(), "wb", level=level, block_size=1000, threads=2)
        with pytest.raises(OSError, match="No space"):
            writer.write(text)
        assert writer.closed

    def test_sink_that_takes_a_little_at_a_time(self, level: int, text: bytes) -> None:
        class Slow(NullSink):
            data = b""

            def write(self, data) -> int:
                self.data += bytes(data[:5])
                return min(5, len(data))

        sink = Slow()
        with nczip.open(sink, "wb", level=level, block_size=1000) as writer:
            writer.write(text)
        assert nczip.decompress(sink.data) == text


class TestReader:
    @pytest.fixture(params=LEVELS)
    def archive(self, request: pytest.FixtureRequest, text: bytes, noise: bytes) -> bytes:
        """Solo, empty, full, solo, full frames; content text + noise + text + text + text."""
        frames = archive_of(text + noise[:1000], b"", level=request.param)
        frames += archive_of(text, level=request.param, block_size=1000)
        frames += archive_of(text, level=request.param)
        return frames + archive_of(text, level=request.param, block_size=3000)

    @pytest.fixture
    def content(self, text: bytes, noise: bytes) -> bytes:
        return text + noise[:1000] + text + text + text

    @pytest.mark.parametrize("threads", [1, 3])
    def test_in_order(self, archive: bytes, content: bytes, threads: int) -> None:
        for source in (io.BytesIO(archive), Pipe(archive, 3)):
            with nczip.open(source, threads=threads) as reader:
                assert (reader.readable(), reader.tell()) == (True, 0)
                assert reader.read(10) == content[:10]
                assert reader.read(20000) == content[10:20010]
                assert reader.tell() == 20010
                assert reader.read() == content[20010:]
                assert (reader.read(), reader.read(5), reader.read1()) == (b"", b"", b"")

    @pytest.mark.parametrize("threads", [1, 3])
    def test_seeking(self, archive: bytes, content: bytes, threads: int) -> None:
        oracle = io.BytesIO(content)
        with nczip.open(io.BytesIO(archive), threads=threads) as reader:
            assert reader.size == len(content)
            state = 1
            for step in range(200):
                state = state * 1103515245 + 12345 & 0x7FFFFFFF
                place, size = state % (len(content) + 50), state // 7 % 4000
                if step % 3:
                    assert reader.seek(place) == oracle.seek(place)
                assert reader.read(size) == oracle.read(size)
                assert reader.tell() == oracle.tell()
            assert reader.seek(-5, io.SEEK_END) == len(content) - 5
            assert reader.read() == content[-5:]
            reader.seek(100)
            assert reader.seek(-50, io.SEEK_CUR) == 50
            with pytest.raises(ValueError, match="before"):
                reader.seek(-1)

    def test_a_jump_costs_one_block(self, text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        archive = archive_of(text * 10, text * 10, level=1, block_size=1000)
        decoded = []
        unpack = blocks.unpack

        def counting(*arguments):
            decoded.append(arguments)
            return unpack(*arguments)

        monkeypatch.setattr(blocks, "unpack", counting)
        with nczip.open(io.BytesIO(archive), threads=4) as reader:
            for place in (70123, 5123, 120500, 120600):
                reader.seek(place)
                assert reader.read(100) == (text * 20)[place : place + 100]
        assert len(decoded) == 3  # the last place was in the block at hand

    def test_damage_elsewhere_does_not_matter(self, text: bytes) -> None:
        archive = bytearray(archive_of(text, block_size=1000))
        damaged = nczip.inspect(io.BytesIO(archive)).frames[0].blocks[4].offset
        archive[damaged + 30] ^= 1
        with nczip.open(io.BytesIO(archive)) as reader:
            assert reader.read(1000) == text[:1000]
            reader.seek(4500)
            for _ in range(2):
                with pytest.raises(nczip.CorruptError, match=f"byte {damaged}"):
                    reader.read(1)
            reader.seek(1000)
            assert reader.read(1000) == text[1000:2000]
            reader.seek(5000)
            assert reader.read() == text[5000:]

    def test_size_in_the_middle_of_reading(self, archive: bytes, content: bytes) -> None:
        with nczip.open(io.BytesIO(archive)) as reader:
            assert reader.read(9500) == content[:9500]
            assert reader.size == len(content)
            assert reader.read() == content[9500:]

    def test_a_source_that_begins_later(self, archive: bytes, content: bytes) -> None:
        source = io.BytesIO(b"prefix" + archive)
        source.seek(6)
        with nczip.open(source) as reader:
            reader.seek(-100, io.SEEK_END)
            assert reader.read() == content[-100:]

    def test_pipes_do_not_seek(self, archive: bytes) -> None:
        with nczip.open(Pipe(archive)) as reader:
            assert not reader.seekable()
            with pytest.raises(io.UnsupportedOperation):
                reader.seek(3)
            with pytest.raises(io.UnsupportedOperation):
                _ = reader.size

    def test_an_archive_of_an_archive(self, text: bytes, noise: bytes) -> None:
        """What is stored ends with footers of its own, which must not lead the search from the end astray."""
        inner = archive_of(noise[:5000], noise[5000:9000], level=1, block_size=2000)
        for outer in (archive_of(inner), archive_of(text, inner), archive_of(inner, inner, block_size=2500)):
            content = nczip.decompress(outer)
            assert content.endswith(inner)
            with nczip.open(io.BytesIO(outer)) as reader:
                assert reader.size == len(content)
                reader.seek(-3000, io.SEEK_END)
                assert reader.read() == content[-3000:]

    def test_lines(self, archive: bytes, content: bytes) -> None:
        with nczip.open(io.BytesIO(archive)) as reader:
            assert list(reader) == list(io.BytesIO(content))

    def test_closed(self, archive: bytes) -> None:
        reader = nczip.open(io.BytesIO(archive))
        reader.close()
        reader.close()
        with pytest.raises(ValueError, match="closed"):
            reader.read()


class TestFiles:
    def test_paths_are_closed_and_files_left_open(self, tmp_path: Path, text: bytes) -> None:
        path = tmp_path / "a.ncz"
        with nczip.open(path, "xb", level=1) as writer:
            writer.write(text)
        with nczip.open(str(path)) as reader:
            assert reader.read() == text
        with pytest.raises(FileExistsError):
            nczip.open(path, "xb")
        with path.open("rb") as file:
            nczip.open(file).close()
            assert not file.closed
        with pytest.raises(ValueError, match="mode"):
            nczip.open(path, "a")  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="levels 1 to 9"):
            nczip.open(tmp_path / "b.ncz", "wb", level=10)

    def test_inspect(self, tmp_path: Path, text: bytes, noise: bytes) -> None:
        path = tmp_path / "a.ncz"
        path.write_bytes(archive_of(text, level=5) + archive_of(text, noise[:700], level=2, block_size=8000))
        info = nczip.inspect(path)
        assert [(frame.form, frame.level, frame.methods) for frame in info.frames] == [
            ("solo", 5, ("mixture",)),
            ("full", None, ("zstd", "planes", "raw")),
            ("solo", None, ("raw",)),
        ]
        assert [block.raw_offset for frame in info.frames for block in frame.blocks] == [
            0,
            8192,
            16192,
            16384,
        ]
        assert (info.raw_size, info.packed_size) == (2 * 8192 + 700, path.stat().st_size)
        assert nczip.inspect(Pipe(path.read_bytes())) == info
