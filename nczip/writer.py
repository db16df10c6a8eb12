"""Writer: content in, an NCZ1 frame out, with memory that does not grow with the content."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from nczip import blocks, container, levels
from nczip.blocks import Step
from nczip.workers import OrderedPool, Progress

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Buffer


class Writer(io.BufferedIOBase):
    """A binary file to write content to; the archive goes to ``sink``.

    A block ends when a byte beyond ``block_size`` arrives or at ``flush``. With ``threads`` blocks are packed
    side by side; the archive is the same. ``close`` finishes the frame; a Writer that is aborted, left by an
    exception or forgotten leaves a frame that readers see as cut off.

    ``raw_size`` is the bytes taken so far and ``packed_size`` the bytes given to the sink. ``on_progress(raw,
    packed)`` is called in the caller's thread, many times a block at slow levels, with the bytes coded so
    far. ``model`` is the name, hash or path of the language model of levels 7 to 9. Raises ValueError for a
    level or size that does not exist, MemoryLimitError if nothing fits ``memory`` (bytes of the whole
    process), MissingModelError and ModelFileError.
    """

    _finished = True  # until there is something to finish: a failed __init__ leaves nothing to close

    def __init__(
        self,
        sink: BinaryIO,
        level: int = levels.DEFAULT_LEVEL,
        *,
        model: str | None = None,
        threads: int = 1,
        memory: int | None = None,
        block_size: int | None = None,
        on_progress: Progress | None = None,
        close_sink: bool = False,
    ) -> None:
        self.plan = levels.plan(level, model=model, threads=threads, memory=memory, block_size=block_size)
        self._model = model
        self.raw_size = 0
        self.packed_size = 0
        self._memory = memory
        self._sink = sink
        self._close_sink = close_sink
        self._pool: OrderedPool[tuple[bytes, blocks.Packed]] = OrderedPool(self.plan.threads, on_progress)
        self._buffer = bytearray()
        self._tally: container.Tally | None = None  # of the full frame, once there is one
        self._finished = False

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        """Takes all of ``data``; may pack and write blocks on the way."""
        self._check_open()
        view = memoryview(data).cast("B")
        taken = 0
        with self._abort_on_error():
            while taken < len(view):
                room = self.plan.block_size - len(self._buffer)
                if room == 0:
                    self._end_block()
                    continue
                self._buffer += view[taken : taken + room]
                taken += min(room, len(view) - taken)
        self.raw_size += len(view)
        return len(view)

    def flush(self) -> None:
        """Ends the block, if it has any content, and gives everything so far to the sink."""
        if self._finished:
            return
        with self._abort_on_error():
            if self._buffer:
                self._end_block()
            while len(self._pool):
                self._put_block()
            self._sink.flush()

    def close(self) -> None:
        """Finishes the archive. Closes the sink only if this Writer opened it."""
        if self._finished:
            return
        with self._abort_on_error():
            if self._tally is None and self._buffer and self._memory is not None:
                # All there is, and less than the limit was fitted to: larger tables may fit, from a pipe too.
                self.plan = levels.plan(
                    self.plan.level,
                    model=self._model,
                    threads=self.plan.threads,
                    memory=self._memory,
                    block_size=len(self._buffer),
                )
            if self._tally is None:  # one block, all of it in the buffer, takes but a few bytes around it
                self._write_solo()
            else:
                self._write_end()
        self._end()

    def abort(self) -> None:
        """Stops without finishing the archive; what the sink has is recognised as cut off."""
        if not self._finished:
            self._end()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        self.abort()

    def _end(self) -> None:
        self._finished = True
        self._buffer = bytearray()
        self._pool.close()
        super().close()
        if self._close_sink:
            self._sink.close()

    @contextmanager
    def _abort_on_error(self) -> Iterator[None]:
        """After an error part of the content may be missing, so nothing may make the archive look whole."""
        try:
            yield
        except BaseException:
            self.abort()
            raise

    def _check_open(self) -> None:
        if self._finished:
            raise ValueError("write to a closed nczip.Writer")

    def _end_block(self) -> None:
        raw, self._buffer = self._buffer, bytearray()
        if self._tally is None:
            head = container.full_frame(
                (*self.plan.methods, container.Method(container.RAW)), self.plan.block_size
            )
            self._tally = container.Tally(len(head))
            import xxhash

            self._hash = xxhash.xxh3_64()
            self._put(head)
        self._hash.update(raw)
        self._pool.submit(partial(_pack_block, self.plan, raw))
        while self._pool.full:
            self._put_block()

    def _put_block(self) -> None:
        assert self._tally is not None
        head, packed = self._pool.next()
        self._put(head)
        self._put(packed.data)
        self._tally.add(len(head) + len(packed.data), packed.raw_size)

    def _write_solo(self) -> None:
        self._pool.submit(partial(_pack_solo, self.plan, self._buffer))
        head, packed = self._pool.next()
        self._put(head)
        self._put(packed.data)

    def _write_end(self) -> None:
        if self._buffer:
            self._end_block()
        assert self._tally is not None
        while len(self._pool):
            self._put_block()
        self._put(self._tally.trailer(self._hash.digest()[::-1]))

    def _put(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:  # an unbuffered sink may take less than all
            view = view[self._sink.write(view) :]
        self.packed_size += len(data)


def _pack_block(plan: levels.Plan, raw: bytearray, step: Step) -> tuple[bytes, blocks.Packed]:
    packed = blocks.pack(plan.methods, plan.level, raw, step)
    position = (*plan.methods, container.Method(container.RAW)).index(packed.method)
    return container.block_head(position, packed.raw_size, packed.data, packed.content_hash), packed


def _pack_solo(plan: levels.Plan, raw: bytearray, step: Step) -> tuple[bytes, blocks.Packed]:
    packed = blocks.pack(plan.methods, plan.level, raw, step)
    form = plan.solo_form(packed.method)
    name = container.solo_name(form, packed.method)
    if len(name) + len(packed.data) > packed.raw_size:  # the method's name made it no gain
        packed = blocks.stored(raw)
        form, name = container.RAW_FORM, b""
    return container.solo_frame(form, packed.raw_size, packed.data, packed.content_hash, name), packed
