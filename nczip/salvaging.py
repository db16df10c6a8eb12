"""Salvage: what is still intact in a damaged archive.

Blocks are independent, so damage costs the blocks it touches. What follows them is found again through the
frame's index, where its trailer survived; else where the damaged block's header says its end is; else by
looking for the header of a block of full size, or of a frame. Everything that is written matched its
checksums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO

from nczip import archive, blocks, container, levels
from nczip.archive import FileSource
from nczip.base import Base, BaseSources, all_given
from nczip.container import BlockHead, Frame, Method, Trailer
from nczip.errors import CorruptError, FormatError

SCAN = 1 << 20  # bytes read at a time while looking for a header
MOST_READ = 16  # times the archive: hostile bytes could have each of many claims read to its end


@dataclass(frozen=True, slots=True)
class LostRange:
    """Bytes of the archive that gave nothing, and the content that was there, as far as either is known.

    ``raw_offset`` is None after a loss of unknown size, ``raw_size`` where nothing tells it. Sizes are bytes.
    """

    offset: int
    size: int
    raw_offset: int | None
    raw_size: int | None


def salvage(
    source: BinaryIO,
    sink: BinaryIO,
    on_lost: Callable[[LostRange], None] | None = None,
    *,
    base: BaseSources | None = None,
) -> list[LostRange]:
    """Writes the content of every intact block to ``sink``, in order, and returns what was lost.

    ``source`` must be one that can be sought. Lost ranges leave no gap in the sink. Raises FormatError if no
    frame is found at all, NewerVersionError where a sound frame needs a newer nczip, MissingBaseError where a
    block needs a base that is none of ``base`` (as Reader takes it), and OSError.
    """
    return _Salvage(FileSource(source), sink, on_lost, all_given(base)).run()


class _Salvage:
    def __init__(
        self,
        source: FileSource,
        sink: BinaryIO,
        on_lost: Callable[[LostRange], None] | None,
        bases: Sequence[Base],
    ) -> None:
        if source.size is None:
            raise ValueError("salvage needs an archive that can be sought")
        self._source = source
        self._end = source.size
        self._sink = sink
        self._on_lost = on_lost
        self._bases = bases
        self._lost: list[LostRange] = []
        self._raw_offset: int | None = 0

    def run(self) -> list[LostRange]:
        if self._end == 0:
            raise FormatError("empty, so not an nczip archive")
        offset = 0
        found = False
        while offset < self._end:
            after = self._frame(offset)
            if after is None:
                after = self._next_frame(offset + 1)
                if after == self._end and not found:
                    raise FormatError("not an nczip archive, or nothing of it is left")
                self._lose(offset, after, None)
            found = True
            offset = after
        return self._lost

    def _frame(self, start: int) -> int | None:
        """Salvages the frame that begins here, returns where it ends; None if there is nothing to go by."""
        self._source.jump(start)
        try:
            frame = container.read_frame(self._source)
        except (CorruptError, FormatError):
            return self._headless(start)
        if frame.solo is not None:
            return self._solo(start, frame, frame.solo)
        return self._full(start, frame)

    def _solo(self, start: int, frame: Frame, head: BlockHead) -> int | None:
        end = start + frame.length + head.packed_size
        if self._write_block(levels.frame_methods(frame)[0], head):
            return end
        if end != self._end and not self._frame_at(end):
            return None
        self._lose(start, end, head.raw_size)
        return end

    def _full(self, start: int, frame: Frame) -> int:
        """Block after block; at the first damage the index tells the rest, if it survived."""
        tally = container.Tally(frame.length)
        offset = start + frame.length
        indexed = None
        while True:
            self._source.jump(offset)
            head, damaged = None, False
            try:
                head = container.read_block(self._source, frame)
            except CorruptError:
                damaged = True
            if head is None and not damaged:
                return self._trailer(offset, tally)
            if head is not None and self._write_block(frame.methods[head.method], head):
                tally.add(self._source.offset - offset, head.raw_size)
                offset = self._source.offset
                continue
            if indexed is None:
                indexed = self._find_trailer(start, offset)
            if indexed and sum(indexed[0].block_lengths[: tally.blocks]) == offset - start - frame.length:
                return self._indexed(start, *indexed, [frame.methods], tally.blocks)
            after, raw_size = self._next_block(offset, frame, head)
            self._lose(offset, after, raw_size)
            offset = after
            if offset == self._end or self._frame_at(offset):
                return offset

    def _trailer(self, offset: int, tally: container.Tally) -> int:
        """Where the trailer that begins at ``offset`` ends; the next frame if it is not what it should be."""
        try:
            container.read_trailer(self._source, tally)
            return self._source.offset
        except CorruptError:
            after = self._next_frame(offset)
            self._lose(offset, after, 0)
            return after

    def _headless(self, start: int) -> int | None:
        """A frame with a damaged header whose trailer says that it begins here: try the usual headers."""
        indexed = self._find_trailer(start, start)
        if not indexed:
            return None
        trailer, _ = indexed
        self._lose(start, start + trailer.body_length - sum(trailer.block_lengths), 0)
        tables = [(*methods, Method(container.RAW)) for methods in levels.usual_methods(self._bases)]
        return self._indexed(start, *indexed, tables, 0)

    def _indexed(
        self, start: int, trailer: Trailer, end: int, tables: list[tuple[Method, ...]], count: int
    ) -> int:
        """The blocks from number ``count`` on, by the index, with whichever table of methods fits."""
        first = start + trailer.body_length - sum(trailer.block_lengths)
        offsets = list(accumulate(trailer.block_lengths, initial=first))
        for number in range(count, len(trailer.block_lengths)):
            table = next((table for table in tables if self._try_block(offsets[number], table)), None)
            if table is None:
                self._lose(offsets[number], offsets[number + 1], trailer.raw_sizes[number])
            else:
                tables = [table, *(other for other in tables if other != table)]
        return end

    def _try_block(self, offset: int, table: tuple[Method, ...]) -> bool:
        self._source.jump(offset)
        try:
            head = container.read_block(
                self._source, Frame(container.FULL_FORM, table, container.MAX_BLOCK, 0)
            )
        except CorruptError:
            return False
        return head is not None and self._write_block(table[head.method], head)

    def _write_block(self, method: Method, head: BlockHead) -> bool:
        """Decodes the block whose packed bytes come next; True if it is intact, and then written."""
        try:
            packed = self._source.take(head.packed_size)
            raw = blocks.unpack(method, head, packed, lambda _raw, _packed: None, bases=self._bases)
        except CorruptError:
            return False
        view = memoryview(raw)
        while view:
            view = view[self._sink.write(view) :]
        if self._raw_offset is not None:
            self._raw_offset += len(raw)
        return True

    def _lose(self, start: int, end: int, raw_size: int | None) -> None:
        lost = LostRange(start, end - start, self._raw_offset, raw_size)
        self._lost.append(lost)
        if self._on_lost is not None:
            self._on_lost(lost)
        known = self._raw_offset is not None and raw_size is not None
        self._raw_offset = (self._raw_offset or 0) + (raw_size or 0) if known else None

    def _next_block(self, start: int, frame: Frame, head: BlockHead | None) -> tuple[int, int | None]:
        """Where to go on after a damaged block without an index, and the size of its content if sure."""
        if head is not None:
            after = start + head.length + head.packed_size
            if after < self._end and (self._block_at(after, frame) or self._frame_at(after)):
                return after, head.raw_size
        limit = self._next_frame(start)
        for offset in self._search(container.varint(frame.max_block), start + 2):
            if offset > limit:
                break
            if self._block_at(offset - 1, frame):
                return offset - 1, None
        return limit, None

    def _block_at(self, offset: int, frame: Frame) -> bool:
        self._source.jump(offset)
        try:
            head = container.read_block(self._source, frame)
            if head is None:
                return False
            head.check_packed(self._source.take(head.packed_size))
        except CorruptError:
            return False
        return True

    def _frame_at(self, offset: int) -> bool:
        self._source.jump(offset)
        try:
            frame = container.read_frame(self._source)
            if frame.solo is not None:
                frame.solo.check_packed(self._source.take(frame.solo.packed_size))
        except (CorruptError, FormatError):
            return False
        return True

    def _next_frame(self, start: int) -> int:
        return next((at for at in self._search(container.MAGIC, start) if self._frame_at(at)), self._end)

    @property
    def _has_read_enough(self) -> bool:
        return self._source.bytes_read > MOST_READ * (self._end + SCAN)

    def _find_trailer(self, frame_start: int, start: int) -> tuple[Trailer, int] | tuple[()]:
        """The trailer of the frame that begins at ``frame_start``, looked for from ``start``, and its end."""
        for footer in self._search(container.FOOTER_MAGIC, start):
            end = footer + len(container.FOOTER_MAGIC)
            found = archive.trailer_before(self._source, end)
            if found is not None and found[0] == frame_start:
                return found[1], end
        return ()

    def _search(self, pattern: bytes, start: int) -> Iterator[int]:
        """The offsets of a byte string; the caller may move the source meanwhile."""
        tail = b""
        while not self._has_read_enough:
            self._source.jump(start)
            piece = self._source.some(SCAN)
            if not piece:
                return
            window = tail + piece
            base = start - len(tail)
            found = window.find(pattern)
            while found >= 0 and not self._has_read_enough:
                yield base + found
                found = window.find(pattern, found + 1)
            tail = window[-(len(pattern) - 1) :] if len(pattern) > 1 else b""
            start += len(piece)
