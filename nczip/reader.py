"""Reader: NCZ1 archives in, content out, in order or at random, in memory that does not grow."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from threading import Semaphore
from typing import TYPE_CHECKING, BinaryIO

from nczip import archive, coders, levels
from nczip import device as devices
from nczip.archive import BlockStart, Event, FileSource, FrameEnd, FrameStart, Index
from nczip.base import Base, BaseSources, all_given
from nczip.blocks import Content, Step
from nczip.container import Frame, spoken
from nczip.errors import CorruptError, MemoryLimitError, NczipError
from nczip.workers import OrderedPool, Progress

if TYPE_CHECKING:
    import xxhash

    from nczip import _core


class Reader(io.BufferedIOBase):
    """A binary file to read content from; frames that follow each other read as one.

    A block's content is handed out only after it matched its checksum, so an error (CorruptError,
    TruncatedError, NewerVersionError, MemoryLimitError, FormatError, MissingBaseError, and of language models
    MissingModelError and ModelFileError) comes after all the good content before it. With ``threads`` above
    1, as many blocks are read ahead and decoded side by side. Where the source can be sought, so can the
    Reader: a jump costs one block. ``on_progress(raw, packed)`` is called in the caller's thread with the
    bytes decoded so far. ``memory`` is bytes of the whole process: fewer threads if need be, else
    MemoryLimitError. ``base`` is a Base, or bytes or the path of one, or several of them, of which archives
    name what they need. ``device`` is cpu, cuda, or auto for cuda where there is a GPU; blocks of levels
    7 and 8 alone go there. DeviceError for cuda where there is none.
    """

    _is_open = False  # a failed __init__ leaves nothing to close

    def __init__(
        self,
        source: BinaryIO,
        *,
        base: BaseSources | None = None,
        threads: int = 1,
        memory: int | None = None,
        device: str = "auto",
        on_progress: Progress | None = None,
        close_source: bool = False,
    ) -> None:
        if threads < 1:
            raise ValueError("threads must be at least 1")
        self._bases = all_given(base)
        devices.check(device)
        self._file = source
        self._close_source = close_source
        self._source = FileSource(source)
        self._threads = threads
        self._memory = memory
        self._device = device
        self._on = devices.CPU  # where blocks of this frame are decoded
        self._jobs = threads  # at a time, of this frame
        self._pool: OrderedPool[list[Content | CorruptError]] = OrderedPool(threads, on_progress)
        self._decoded_blocks: deque[Content | CorruptError] = deque()  # of the last job, in order
        self._events: Iterator[Event] = archive.walk(self._source)
        self._ahead = threads  # jobs to have in flight
        self._batched = True  # a language model decodes several blocks a job
        self._max_block = 0  # bytes of content, of the frame that is being read
        self._queue: deque[BlockStart | FrameEnd | Exception] = (
            deque()
        )  # a BlockStart for each block of the pool's jobs
        self._hash: xxhash.xxh3_64 | None = None  # of the frame's content, while it is read in order
        self._index: Index | None = None
        self._block = memoryview(b"")  # the decoded block that holds the position, or ends there
        self._block_start = 0
        self._position = 0
        self._target: memoryview | None = None  # where all that is left is going
        self._target_start = 0
        self._restart_hash()
        self._is_open = True

    @property
    def size(self) -> int:
        """Bytes of content in all frames, as the index tells; io.UnsupportedOperation for a pipe."""
        return self._load_index().raw_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._source.size is not None

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Sets the position in the content; nothing is decoded until the next read."""
        self._check_open()
        if not self.seekable():
            raise io.UnsupportedOperation("the archive comes from a pipe")
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence)
        position = offset + (self.size if start is None else start)
        if position < 0:
            raise ValueError("seek to before the content's start")
        self._position = position
        return position

    def read1(self, size: int = -1, /) -> bytes:
        """At least one byte and at most ``size`` of what the current block has left; nothing at the end."""
        self._check_open()
        taken = bytes(self._rest()[: size if size >= 0 else None]) if size else b""
        self._position += len(taken)
        return taken

    def read(self, size: int | None = -1, /) -> bytes:
        """``size`` bytes, fewer at the end or before damage (the next call then raises); all by default."""
        if size is None or size < 0:
            return self._read_rest()
        left = size
        pieces: list[bytes] = []
        while left:
            try:
                piece = self.read1(left)
            except (NczipError, OSError):
                if not pieces:
                    raise
                break
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def _read_rest(self) -> bytes:
        """All that is left. Blocks are unpacked in place where it is known how much that should be."""
        self._check_open()
        start = self._position
        pieces: list[bytes] = []
        with self._in_place() as content:
            while piece := self._rest():
                done = self._position - start
                if not pieces and done + len(piece) <= len(memoryview(content)):
                    content.put(done, piece)
                else:
                    pieces.append(bytes(piece))
                self._position += len(piece)
        whole = content.finish()
        done = self._position - start - sum(map(len, pieces))
        return whole if done == len(whole) and not pieces else b"".join((whole[:done], *pieces))

    @contextmanager
    def _in_place(self) -> Iterator[_core.Content]:
        """Has blocks unpacked to where they belong in what is given out."""
        from nczip import _core

        left = 0
        if self.seekable():
            with suppress(NczipError, OSError):  # reading on tells what is wrong
                left = max(0, self.size - self._position)
        # What the archive claims need not be true.
        content = _core.Content(left if left <= coders.plausible(self._source.size or 0) else 0)
        self._target = memoryview(content)
        self._target_start = self._position
        try:
            yield content
        finally:
            self._target = None

    def _place(self, block: BlockStart) -> memoryview | None:
        """Where a block belongs, if all of it is to be given out."""
        offset = block.raw_offset - self._target_start
        if self._target is None or offset < 0 or offset + block.head.raw_size > len(self._target):
            return None
        return self._target[offset : offset + block.head.raw_size]

    def peek(self, size: int = 0, /) -> bytes:
        """Some bytes that come next, without moving on; none at the end."""
        self._check_open()
        return bytes(self._rest()[: max(size, io.DEFAULT_BUFFER_SIZE)])

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._block = memoryview(b"")
            self._pool.close()
            super().close()
            if self._close_source:
                self._file.close()

    def _check_open(self) -> None:
        if not self._is_open:
            raise ValueError("read of a closed nczip.Reader")

    def _rest(self) -> memoryview:
        """What the block at the position has left; empty at the end."""
        while True:
            offset = self._position - self._block_start
            if 0 <= offset < len(self._block):
                return self._block[offset:]
            if offset == len(self._block):
                if not self._next_block():
                    return self._block[:0]
            elif not self._jump():
                return self._block[:0]

    def _next_block(self) -> bool:
        """Moves on to the next block's content; False at the archive's end."""
        while True:
            self._read_ahead()
            if not self._queue:
                return False
            item = self._queue[0]
            if isinstance(item, Exception):  # stays first: every further read meets it again
                raise item
            if isinstance(item, BlockStart):
                self._block = memoryview(self._decoded())
                self._block_start = item.raw_offset
                self._ahead, self._batched = self._jobs, True
                self._queue.popleft()
                if self._hash is not None:
                    self._hash.update(self._block)
                return True
            self._queue.popleft()
            if self._hash is not None and item.content_hash not in (None, self._hash.digest()[::-1]):
                self._fail(CorruptError("the content does not match the checksum of its whole frame"))
            self._restart_hash()

    def _decoded(self) -> Content:
        try:
            if not self._decoded_blocks:
                self._decoded_blocks.extend(self._pool.next())
            content = self._decoded_blocks.popleft()
            if isinstance(content, CorruptError):
                raise content
            return content
        except NczipError as error:
            self._fail(error)
            raise
        except BaseException:
            self.close()
            raise

    def _read_ahead(self) -> None:
        """Keeps blocks in flight. What is wrong further on waits in the queue behind the good blocks."""
        most = 4 * self._ahead * levels.MOST_TOGETHER  # of frames without content there may be any number
        while len(self._pool) < min(self._ahead, self._pool.threads) and len(self._queue) < most:
            try:
                event = next(self._events, None)
                if event is None:
                    return
                if isinstance(event, FrameStart):
                    self._fit_memory(event.frame)
                    self._choose_device(event.frame)
                    continue
                if isinstance(event, BlockStart):
                    self._submit(event)
                else:
                    self._queue.append(event)
            except (NczipError, OSError) as error:
                self._events = iter(())
                self._queue.append(error)

    def _submit(self, first: BlockStart) -> None:
        """A job for a block, or for several that pass through a language model together."""
        starts = [first]
        packed = [self._source.take_view(first.head.packed_size)]
        wrong = None
        method = spoken(first.method)
        if method is not None:
            together = 1
            if self._batched:
                threads = self._pool.threads
                if devices.serves(method, self._on.name):
                    together = devices.unpacking(self._max_block, self._memory)
                else:
                    together = levels.together(method, self._max_block, threads, self._memory)
            try:
                while len(starts) < together and (event := next(self._events, None)) is not None:
                    if not isinstance(event, BlockStart) or spoken(event.method) != method:
                        self._events = chain((event,), self._events)
                        break
                    packed.append(self._source.take_view(event.head.packed_size))
                    starts.append(event)
            except (NczipError, OSError) as error:
                self._events = iter(())
                wrong = error
        job = partial(_unpack, starts, packed, self._place(first), self._bases, self._on)
        self._pool.submit(job)
        self._queue.extend(starts)
        if wrong is not None:
            self._queue.append(wrong)

    def _fail(self, error: Exception) -> None:
        self._pool.cancel()
        self._decoded_blocks.clear()
        self._events = iter(())
        self._queue.clear()
        self._queue.append(error)

    def _fit_memory(self, frame: Frame) -> None:
        """Checks what the frame's header asks for, and how many threads may run."""
        self._max_block = frame.max_block
        if self._memory is not None:
            need = levels.decoding_memory(frame, bases=self._bases)
            if need > self._memory:
                raise MemoryLimitError(f"decoding blocks of {frame.max_block} bytes", need, self._memory)
            each = levels.decoding_memory(frame, 2, self._bases) - need
            self._pool.threads = min(self._threads, 1 + (self._memory - need) // max(1, each))

    def _choose_device(self, frame: Frame) -> None:
        """A device gets several jobs at a time, while as many threads as ever compute."""
        cores = min(self._threads, self._pool.threads)
        served = any(devices.serves(method, self._device) for method in levels.frame_methods(frame))
        self._on = devices.Choice(self._device, cores=Semaphore(cores)) if served else devices.CPU
        self._jobs = self._pool.threads = devices.UNPACKING if served else cores
        if self._batched:
            self._ahead = self._jobs

    def _load_index(self) -> Index:
        if self._index is None:
            self._check_open()
            if not self.seekable():
                raise io.UnsupportedOperation("the archive comes from a pipe")
            here = self._source.offset
            try:
                self._index = archive.load_index(self._source)
            finally:
                self._source.jump(here)
        return self._index

    def _jump(self) -> bool:
        """Goes to the block that holds the position; False if that is past the end."""
        index = self._load_index()
        if self._position >= index.raw_size:
            return False
        block = index.find(self._position)
        self._pool.cancel()
        self._decoded_blocks.clear()
        self._queue.clear()
        self._block = memoryview(b"")  # nothing at hand until it is decoded
        self._block_start = self._position
        self._events = self._events_from(index, block)
        self._ahead, self._batched = 1, False
        self._hash = None
        return self._next_block()

    def _events_from(self, index: Index, start: int) -> Iterator[Event]:
        frame = None
        for block in range(start, len(index)):
            if index.frame_of(block) is not frame:
                frame = index.frame_of(block)
                yield FrameStart(0, frame)
            yield index.go_to(self._source, block)

    def _restart_hash(self) -> None:
        import xxhash

        self._hash = xxhash.xxh3_64()


def _unpack(
    starts: Sequence[BlockStart],
    packed: Sequence[Content],
    into: memoryview | None,
    bases: Sequence[Base],
    on: devices.Choice,
    step: Step,
) -> list[Content | CorruptError]:
    with on.computing():
        return archive.unpack(starts, packed, into, bases, on, step)
