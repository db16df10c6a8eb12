"""Interrupts, errors and progress with one thread and several; memory that does not grow with the stream."""

from __future__ import annotations

import io
import threading
import time
import tracemalloc
from pathlib import Path

import pytest
from sinks import NullSink

import nczip
from nczip import blocks


def alive() -> list[str]:
    """The pool's threads; those that serve a device live as long as the process."""
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith("nczip") and name != "nczip device"]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("level", [3, 6, 8])
class TestInterrupts:
    def test_writing(self, threads: int, level: int, text: bytes) -> None:
        def interrupt(_raw: int, _packed: int) -> None:
            raise KeyboardInterrupt

        sink = io.BytesIO()
        with pytest.raises(KeyboardInterrupt):  # noqa: SIM117
            with nczip.open(sink, "wb", level=level, threads=threads, on_progress=interrupt) as writer:
                writer.write(text * 100)
        assert alive() == []
        with pytest.raises((nczip.TruncatedError, nczip.FormatError)):
            nczip.decompress(sink.getvalue())

    def test_reading(self, threads: int, level: int, text: bytes) -> None:
        def interrupt(_raw: int, _packed: int) -> None:
            raise KeyboardInterrupt

        archive = nczip.compress(text * 30, level, block_size=30000)
        reader = nczip.open(io.BytesIO(archive), threads=threads, on_progress=interrupt)
        with pytest.raises(KeyboardInterrupt):
            reader.read()
        assert reader.closed
        assert alive() == []

    def test_an_error_in_a_job(
        self, threads: int, level: int, text: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise MemoryError("no room")

        monkeypatch.setattr(blocks, "pack", fail)
        writer = nczip.open(io.BytesIO(), "wb", level=level, threads=threads, block_size=1000)
        with pytest.raises(MemoryError, match="no room"):
            writer.write(text)
        assert writer.closed
        assert alive() == []

    def test_an_error_ends_the_other_jobs(
        self, threads: int, level: int, text: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        finished = []

        def fail_or_go_on(_methods, _level, raw, step, *_) -> None:
            if bytes(raw[:6]) == b"line 0":
                raise MemoryError("no room")
            for _ in range(100_000):
                step(0, 0)
                time.sleep(0.0001)
            finished.append(raw)

        monkeypatch.setattr(blocks, "pack", fail_or_go_on)
        writer = nczip.open(io.BytesIO(), "wb", level=level, threads=threads, block_size=1000)
        with pytest.raises(MemoryError, match="no room"):
            writer.write(text)
        assert finished == []

    def test_progress_reaches_the_end_in_the_callers_thread(
        self, threads: int, level: int, text: bytes
    ) -> None:
        seen: list[tuple[int, int]] = []
        callers = set()

        def progress(raw: int, packed: int) -> None:
            seen.append((raw, packed))
            callers.add(threading.current_thread())

        sink = io.BytesIO()
        with nczip.open(
            sink, "wb", level=level, threads=threads, block_size=3000, on_progress=progress
        ) as writer:
            writer.write(text * 5)
        assert seen[-1][0] == len(text) * 5
        assert [raw for raw, _ in seen] == sorted(raw for raw, _ in seen)
        seen.clear()
        sink.seek(0)
        with nczip.open(sink, threads=threads, on_progress=progress) as reader:
            reader.read()
        assert seen[-1][0] == len(text) * 5
        assert [raw for raw, _ in seen] == sorted(raw for raw, _ in seen)
        assert callers == {threading.current_thread()}


BLOCK = 256 << 10
STREAM = 24 << 20


@pytest.mark.parametrize("threads", [1, 3])
class TestMemoryIsFlat:
    """Content is handed over block by block: what is in memory at once does not grow with the stream."""

    def bound(self, threads: int) -> int:
        return (2 * threads + 3) * BLOCK + (2 << 20)

    def test_writing(self, threads: int, noise: bytes) -> None:
        tracemalloc.start()
        try:
            with nczip.open(NullSink(), "wb", level=1, threads=threads, block_size=BLOCK) as writer:
                for _ in range(STREAM // len(noise)):
                    writer.write(noise)
            assert tracemalloc.get_traced_memory()[1] < self.bound(threads)
        finally:
            tracemalloc.stop()

    def test_reading_a_pipe(self, threads: int, noise: bytes, tmp_path: Path) -> None:
        path = tmp_path / "a.ncz"
        with nczip.open(path, "wb", level=1, block_size=BLOCK) as writer:
            for _ in range(STREAM // len(noise)):
                writer.write(noise)
        tracemalloc.start()
        try:
            size = 0
            with path.open("rb") as file, nczip.open(file, threads=threads) as reader:
                while piece := reader.read1(1 << 16):
                    size += len(piece)
            assert size == STREAM
            assert tracemalloc.get_traced_memory()[1] < self.bound(threads)
        finally:
            tracemalloc.stop()
