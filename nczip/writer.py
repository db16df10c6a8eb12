"""Writer: content in, an NCZ1 frame out, with memory that does not grow with the content."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Semaphore
from typing import TYPE_CHECKING, BinaryIO

from nczip import blocks, container, levels
from nczip import device as devices
from nczip.base import BaseSource, given
from nczip.blocks import Step
from nczip.layout import Block, Layout, Place, is_for_tensors
from nczip.workers import OrderedPool, Progress

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Buffer


class Writer(io.BufferedIOBase):
    """A binary file to write content to; the archive goes to ``sink``.

    A block ends when a byte beyond ``block_size`` arrives, where content becomes of another kind, or at
    ``flush``. With ``threads`` blocks are packed side by side; the archive is the same. ``close`` finishes
    the frame; a Writer that is aborted, left by an exception or forgotten leaves a frame that readers see as
    cut off.

    ``raw_size`` is the bytes taken so far and ``packed_size`` the bytes given to the sink. ``on_progress(raw,
    packed)`` is called in the caller's thread, many times a block at slow levels, with the bytes coded so
    far. ``model`` is the name, hash or path of the language model of levels 7 to 9. ``base`` is a Base, or
    bytes or the path of one, that reading will need as well. ``device`` is cpu, cuda, or auto for cuda where
    there is a GPU; levels 7 and 8 alone go there, and the archive is the same. With ``verify`` each block
    that a GPU has packed is decoded again. Raises OSError, ValueError for a level, size or device that does
    not exist, MemoryLimitError if nothing fits ``memory`` (bytes of the whole process), MissingModelError,
    ModelFileError, and DeviceError for cuda where there is none.
    """

    _finished = True  # until there is something to finish: a failed __init__ leaves nothing to close

    def __init__(
        self,
        sink: BinaryIO,
        level: int = levels.DEFAULT_LEVEL,
        *,
        model: str | None = None,
        base: BaseSource | None = None,
        threads: int = 1,
        memory: int | None = None,
        block_size: int | None = None,
        device: str = "auto",
        verify: bool = True,
        on_progress: Progress | None = None,
        close_sink: bool = False,
    ) -> None:
        self._fit = partial(levels.plan, model=model, base=given(base), memory=memory)
        plan = self._fit(level, threads=threads, block_size=block_size)
        devices.check(device)
        served = devices.serves(plan.method, device)
        if served:
            plan = replace(plan, on=devices.Choice(device, verify, Semaphore(plan.threads)))
        self.plan = plan
        self._memory = memory
        self._block_size = block_size
        self.raw_size = 0
        self.packed_size = 0
        self._sink = sink
        self._close_sink = close_sink
        self._pool: OrderedPool[tuple[bytes, blocks.Packed]] = OrderedPool(
            devices.in_flight(plan.block_size, memory) if served else plan.threads, on_progress
        )
        self._buffer = bytearray()
        self._layout: Layout | None = None  # until there is content to look at
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
                    self._end_blocks(last=False)
                    continue
                if not self._buffer and len(view) - taken > room:  # whole blocks, without a copy of them
                    for block in self._cuts(view[taken : taken + room], last=False):
                        self._submit_block(view[taken : taken + block.size], block)
                        taken += block.size
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
                self._end_blocks(last=True)
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
                size = len(self._buffer)
                refitted = self._fit(self.plan.level, threads=self.plan.threads, block_size=size)
                self.plan = replace(refitted, on=self.plan.on)
            cuts = self._cuts(memoryview(self._buffer), last=True)
            if self._tally is None and len(cuts) < 2:  # one block takes but a few bytes around it
                self._write_solo(cuts[0] if cuts else Block(0, None, Place(0)))
            else:
                self._write_end(cuts)
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

    def _end_blocks(self, *, last: bool) -> None:
        """Packs what is whole blocks, or all there is; the rest stays in the buffer."""
        self._submit(self._cuts(memoryview(self._buffer), last))

    def _cuts(self, view: memoryview, last: bool) -> Sequence[Block]:
        """The blocks that the content goes on with."""
        if self._layout is None:
            if self.plan.level in levels.LANGUAGE_LEVELS and is_for_tensors(view):
                # No language model runs on tensors, and they want longer blocks than one does.
                self.plan = self._fit(
                    levels.OTHERWISE, threads=self.plan.threads, block_size=self._block_size
                )
                self._pool.threads = self.plan.threads  # nor has a GPU anything to do
            text_apart = self.plan.level in levels.LANGUAGE_LEVELS
            self._layout = Layout(self.plan.block_size, text_apart=text_apart)
        if len(view) < self.plan.block_size and not last:
            return ()
        return self._layout.split(view, last)

    def _submit(self, cuts: Sequence[Block]) -> None:
        buffer, self._buffer = self._buffer, bytearray()
        if len(cuts) == 1 and cuts[0].size == len(buffer):
            self._submit_block(buffer, cuts[0])
            return
        view, start = memoryview(buffer), 0
        for block in cuts:
            self._submit_block(view[start : start + block.size], block)
            start += block.size
        self._buffer += view[start:]

    def _submit_block(self, raw: bytearray | memoryview, block: Block) -> None:
        """A view may be of what the caller has, and does with as it likes: other threads need a copy."""
        if self.plan.threads > 1 and isinstance(raw, memoryview):
            raw = bytearray(raw)
        if self._tally is None:
            head = container.full_frame(
                (*self.plan.methods, container.Method(container.RAW)), self.plan.block_size
            )
            self._tally = container.Tally(len(head))
            import xxhash

            self._hash = xxhash.xxh3_64()
            self._put(head)
        self._hash.update(raw)
        self._pool.submit(partial(_pack_block, self.plan, raw, block))
        while self._pool.full:
            self._put_block()

    def _put_block(self) -> None:
        assert self._tally is not None
        head, packed = self._pool.next()
        self._put(head)
        self._put(packed.data)
        self._tally.add(len(head) + len(packed.data), packed.raw_size)

    def _write_solo(self, block: Block) -> None:
        self._pool.submit(partial(_pack_solo, self.plan, self._buffer, block))
        head, packed = self._pool.next()
        self._put(head)
        self._put(packed.data)

    def _write_end(self, cuts: Sequence[Block]) -> None:
        self._submit(cuts)
        assert self._tally is not None
        while len(self._pool):
            self._put_block()
        self._put(self._tally.trailer(self._hash.digest()[::-1]))

    def _put(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:  # an unbuffered sink may take less than all
            view = view[self._sink.write(view) :]
        self.packed_size += len(data)


def _packed(plan: levels.Plan, raw: bytearray | memoryview, block: Block, step: Step) -> blocks.Packed:
    with plan.on.computing():
        return blocks.pack(plan.methods, plan.level, raw, step, block.hint, plan.bases, plan.on, block.place)


def _pack_block(
    plan: levels.Plan, raw: bytearray | memoryview, block: Block, step: Step
) -> tuple[bytes, blocks.Packed]:
    packed = _packed(plan, raw, block, step)
    position = (*plan.methods, container.Method(container.RAW)).index(packed.method)
    return container.block_head(position, packed.raw_size, packed.data, packed.content_hash), packed


def _pack_solo(
    plan: levels.Plan, raw: bytearray | memoryview, block: Block, step: Step
) -> tuple[bytes, blocks.Packed]:
    packed = _packed(plan, raw, block, step)
    form = plan.solo_form(packed.method)
    name = container.solo_name(form, packed.method, plan.level_of(packed.method))
    if len(name) + len(packed.data) > packed.raw_size:  # the method's name made it no gain
        packed = blocks.stored(raw)
        form, name = container.RAW_FORM, b""
    return container.solo_frame(form, packed.raw_size, packed.data, packed.content_hash, name), packed
