"""Finding the way in an archive: its frames and blocks in order, or through the index at a frame's end."""

from __future__ import annotations

import io
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from nczip import blocks, container, levels
from nczip.base import Base
from nczip.blocks import Step
from nczip.container import BlockHead, Frame, Method, Tally, Trailer, spoken
from nczip.device import Choice
from nczip.errors import CorruptError, FormatError, NczipError, TruncatedError

if TYPE_CHECKING:
    from typing_extensions import Buffer


class InMemory(io.BytesIO):
    """A file of bytes that are in memory, and can be looked at in place."""

    def __init__(self, data: Buffer) -> None:
        super().__init__(data)
        self.view = memoryview(data).cast("B")


class FileSource:
    """The bytes of a binary file from where it stands; ``offset`` counts from there."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._peeked = b""
        self.offset = 0
        self.bytes_read = 0  # in all, those read twice counted twice
        self.size: int | None = None  # bytes, where the file can be sought
        if file.seekable():
            self._base = file.tell()
            self.size = max(0, file.seek(0, io.SEEK_END) - self._base)
            file.seek(self._base)

    def some(self, size: int) -> bytes:
        """At most ``size`` bytes, fewer only at the end."""
        pieces = [self._peeked[:size]] if self._peeked else []
        self._peeked = self._peeked[size:]
        size -= sum(map(len, pieces))
        there = container.PIECE if self.size is None else max(container.PIECE, self.size - self.offset)
        while size:
            piece = self._file.read(min(size, there))
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        taken = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.offset += len(taken)
        self.bytes_read += len(taken)
        return taken

    def take(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or TruncatedError."""
        taken = self.some(size)
        if len(taken) < size:
            raise TruncatedError(f"the archive is cut off at byte {self.offset}")
        return taken

    def take_view(self, size: int) -> bytes | memoryview:
        """The same, in place where that can be."""
        if not isinstance(self._file, InMemory) or self.offset + size > len(self._file.view) - self._base:
            return self.take(size)
        start = self._base + self.offset
        self.jump(self.offset + size)
        self.bytes_read += size
        return self._file.view[start : start + size]

    def at_end(self) -> bool:
        """Whether no byte is left; waits for one on a pipe."""
        self._peeked = self._peeked or self._file.read(1)
        return not self._peeked

    def skip(self, size: int) -> None:
        """Passes over bytes that must be there."""
        if self.size is None:
            while size:
                size -= len(self.take(min(size, container.PIECE)))
        elif self.offset + size <= self.size:
            self.jump(self.offset + size)
        else:
            raise TruncatedError(f"the archive is cut off at byte {self.size}")

    def jump(self, offset: int) -> None:
        """Goes to an offset of a file that can be sought."""
        self._file.seek(self._base + offset)
        self._peeked = b""
        self.offset = offset


@dataclass(frozen=True, slots=True)
class FrameStart:
    """A frame's header has been read."""

    offset: int
    frame: Frame


@dataclass(frozen=True, slots=True)
class BlockStart:
    """A block's header has been read and its packed bytes come next: whoever asked takes or skips them."""

    offset: int  # of the block; of its frame where that is solo
    raw_offset: int  # in the content of the whole archive
    method: Method
    head: BlockHead


def unpack(
    starts: Sequence[BlockStart],
    packed: Sequence[blocks.Content],
    into: memoryview | None,
    bases: Sequence[Base],
    on: Choice,
    step: Step,
) -> list[blocks.Content | CorruptError]:
    """The contents of one block, or of several by one language model; CorruptError in the place
    of a damaged one. ``into``: as blocks.unpack takes it, for the first. Raises what is wrong with all of
    them."""
    if spoken(starts[0].method) is not None:
        parts = [(start.method, start.head, bytes(one)) for start, one in zip(starts, packed, strict=True)]
        found: list[blocks.Content | CorruptError] = [*blocks.unpack_together(parts, step, on)]
    else:
        (start,), (bytes_,) = starts, packed
        found = [blocks.caught(blocks.unpack, start.method, start.head, bytes_, step, into, bases)]
    return [
        CorruptError(f"block at byte {start.offset}: {one}") if isinstance(one, CorruptError) else one
        for start, one in zip(starts, found, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class FrameEnd:
    """A frame is complete; ``content_hash`` is what its trailer says (8 bytes), None for a solo frame."""

    content_hash: bytes | None


Event = FrameStart | BlockStart | FrameEnd


def walk(source: FileSource) -> Iterator[Event]:
    """Reads an archive's structure in order, index and footer checked against the blocks.

    Raises FormatError if no archive begins here, else CorruptError and NewerVersionError as they are met.
    """
    if source.at_end():
        raise FormatError("empty, so not an nczip archive")
    raw_offset = 0
    first = True
    while first or not source.at_end():
        start = source.offset
        frame = _read_frame(source, first)
        first = False
        yield FrameStart(start, frame)
        tally = Tally(frame.length)
        if frame.solo:
            yield BlockStart(start, raw_offset, method_of(frame, frame.solo), frame.solo)
            raw_offset += frame.solo.raw_size
            yield FrameEnd(None)
            continue
        while (head := _read_block(source, frame)) is not None:
            block = BlockStart(source.offset - head.length, raw_offset, method_of(frame, head), head)
            yield block
            raw_offset += head.raw_size
            tally.add(head.length + head.packed_size, head.raw_size)
        yield FrameEnd(_read_trailer(source, tally))


def _read_frame(source: FileSource, first: bool) -> Frame:
    start = source.offset
    try:
        return container.read_frame(source)
    except FormatError:
        if first:
            raise
        raise CorruptError(f"bytes that are no archive follow its end, from byte {start}") from None
    except TruncatedError:
        raise
    except NczipError as error:
        raise type(error)(f"frame at byte {start}: {error}") from None


def _read_block(source: FileSource, frame: Frame) -> BlockHead | None:
    with _placed(f"block at byte {source.offset}"):
        return container.read_block(source, frame)


def _read_trailer(source: FileSource, tally: Tally) -> bytes:
    with _placed(f"index at byte {source.offset - 1}"):
        return container.read_trailer(source, tally)


@contextmanager
def _placed(place: str) -> Iterator[None]:
    """Damage is said with its place; where an archive is cut off, the error says so itself."""
    try:
        yield
    except TruncatedError:
        raise
    except CorruptError as error:
        raise CorruptError(f"{place}: {error}") from None


def method_of(frame: Frame, head: BlockHead) -> Method:
    """The method of one of the frame's blocks."""
    return levels.frame_methods(frame)[head.method]


class Index:
    """Where every block of an archive is, for random access."""

    def __init__(self) -> None:
        self.raw_size = 0
        self._offsets = array("Q")
        self._raw_starts = array("Q")
        self._frames: list[Frame] = []
        self._first_blocks: list[int] = []  # of each frame

    def __len__(self) -> int:
        return len(self._offsets)

    def add_frame(self, frame: Frame) -> None:
        """Begins a frame; its blocks are added next."""
        self._frames.append(frame)
        self._first_blocks.append(len(self))

    def add_block(self, offset: int, raw_size: int) -> None:
        """Adds a block of the last frame."""
        self._offsets.append(offset)
        self._raw_starts.append(self.raw_size)
        self.raw_size += raw_size
        if self.raw_size >= 1 << 63:  # of many frames that each claim less; no file has more
            raise CorruptError(f"the archive claims {self.raw_size} bytes of content")

    def find(self, position: int) -> int:
        """The number of the block that holds a position of the content below ``raw_size``."""
        return bisect_right(self._raw_starts, position) - 1

    def frame_of(self, block: int) -> Frame:
        """The header of the block's frame."""
        return self._frames[bisect_right(self._first_blocks, block) - 1]

    def go_to(self, source: FileSource, block: int) -> BlockStart:
        """Reads a block's header, its packed bytes come next; CorruptError if the index lied."""
        frame, offset, raw_start = self.frame_of(block), self._offsets[block], self._raw_starts[block]
        source.jump(offset)
        if frame.solo:
            head: BlockHead | None = frame.solo
            source.skip(frame.length)
        else:
            head = _read_block(source, frame)
        raw_end = self._raw_starts[block + 1] if block + 1 < len(self) else self.raw_size
        if head is None or head.raw_size != raw_end - raw_start:
            raise CorruptError(f"the block index does not match the block at byte {offset}")
        return BlockStart(offset, raw_start, method_of(frame, head), head)


def load_index(source: FileSource) -> Index:
    """The index of all frames: from their ends while they have footers, then by walking what comes before.

    Moves the source, which must be one that can be sought.
    """
    assert source.size is not None
    tails = []
    end = source.size
    while end and (tail := _frame_before(source, end)) is not None:
        tails.append(tail)
        end = tail[0]
    index = Index()
    if (end or not tails) and not _walk_until(source, index, end):
        # The last footers belong to an archive that is content of this one.
        index, tails = Index(), []
        _walk_until(source, index, source.size)
    for offset, frame, trailer in reversed(tails):
        index.add_frame(frame)
        offset += frame.length
        for length, raw_size in zip(trailer.block_lengths, trailer.raw_sizes, strict=True):
            index.add_block(offset, raw_size)
            offset += length
    return index


def trailer_before(source: FileSource, end: int) -> tuple[int, Trailer] | None:
    """The trailer that ends at ``end``, if it is sound, after the offset where it says its frame begins."""
    try:
        source.jump(max(0, end - container.FOOTER_SIZE))
        length = container.footer_trailer_length(source.take(min(end, container.FOOTER_SIZE)))
        if length is None or length > end:
            return None
        source.jump(end - length)
        trailer = container.parse_trailer(source.take(length))
    except CorruptError:
        return None
    start = end - length - trailer.body_length
    return (start, trailer) if start >= 0 else None


def _frame_before(source: FileSource, end: int) -> tuple[int, Frame, Trailer] | None:
    """The full frame that ends at ``end`` (its offset, header and trailer), if its footer says so."""
    found = trailer_before(source, end)
    if found is None:
        return None
    start, trailer = found
    source.jump(start)
    try:
        frame = container.read_frame(source)
    except (CorruptError, FormatError):
        return None
    if frame.solo or frame.length + sum(trailer.block_lengths) != trailer.body_length:
        return None
    return start, frame, trailer


def _walk_until(source: FileSource, index: Index, end: int) -> bool:
    """Adds the frames before ``end``; False if no frame ends there."""
    source.jump(0)
    for event in walk(source):
        if isinstance(event, FrameStart):
            index.add_frame(event.frame)
        elif isinstance(event, BlockStart):
            index.add_block(event.offset, event.head.raw_size)
            source.skip(event.head.packed_size)
        elif source.offset >= end:
            return source.offset == end
    return False
