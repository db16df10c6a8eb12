"""Where blocks end: at their full size, and where the content becomes of another kind.

A tensor of some size has blocks of its own, so that it can be read without the rest, and so that what packs
it knows what it is. Zip archives whose members are stored, as those of NumPy and PyTorch are, count as well.
For a language model, text and what is none have blocks of their own.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nczip import zip_members
from nczip.tensor_files import LOCAL_HEADER, UNITS, TensorEntry, may_have_entries, read_entries

SMALL = 64 << 10  # bytes: smaller tensors share blocks, smaller content is not looked at
_PADDING = 64  # bytes: a gap up to this goes with the tensor before it
_WHOLE = 1 << 63  # where the last segment ends

PIECE = 4 << 10  # bytes of content that are text or not
RUN = 4  # pieces of the other kind in a row that begin another block
_CONTROL = bytes({*range(32), 127} - set(b"\t\n\f\r\x1b"))
_SPACE, _DIGITS, _HIGH = b" \t\n\r", b"0123456789", bytes(range(128, 256))


@dataclass(frozen=True, slots=True)
class Hint:
    """What a block consists of: a type as ``TensorEntry`` has it, and elements a row, 0 if unknown.

    The block begins with a whole element, and ends with one but for a few bytes of padding.
    """

    dtype: str
    row: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of content, up to byte ``end``, whose blocks it shares with no other.

    ``tensor`` is the name of the one that it is, if it is one, and ``start`` where that begins.
    """

    end: int
    hint: Hint | None = None
    tensor: str | None = None
    start: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands: ``offset`` bytes into the content, ``inside`` bytes into a tensor, if in one."""

    offset: int
    tensor: str | None = None
    inside: int = 0


class Block(NamedTuple):
    """``size`` bytes of content."""

    size: int
    hint: Hint | None
    place: Place


class Layout:
    """Cuts content into blocks of at most ``block_size`` bytes, as it comes.

    ``text_apart``: whether no block shall have long runs both of text and of other bytes.
    """

    def __init__(self, block_size: int, *, text_apart: bool = False) -> None:
        self._block_size = block_size
        self._text_apart = text_apart
        self._at = 0  # bytes given out so far
        self._segments: deque[Segment] = deque()
        self._members: zip_members.Members | None = None  # of a zip archive

    def split(self, view: memoryview, last: bool) -> list[Block]:
        """The next blocks of the content, which goes on with ``view`` and ends there if that is the ``last``.

        Before the last, only whole blocks: at least one, if the view has ``block_size`` bytes.
        """
        begin, at = self._at, self._at
        if at == 0 and (len(view) > SMALL or not last):
            self._look(view)
        blocks: list[Block] = []
        while at - begin < len(view):
            if not self._segments and not self._find_members(view, at - begin, last):
                break
            segment = self._segments[0] if self._segments else Segment(_WHOLE)
            size = min(self._whole(segment.hint), segment.end - at)
            if size > len(view) - (at - begin):
                if not last:
                    break
                size = len(view) - (at - begin)
            if self._text_apart and segment.hint is None:
                size = one_kind(view[at - begin : at - begin + size])
            inside = 0 if segment.tensor is None else at - segment.start
            blocks.append(Block(size, segment.hint, Place(at, segment.tensor, inside)))
            at += size
            if at == segment.end:
                self._segments.popleft()
        self._at = at
        return blocks

    def _whole(self, hint: Hint | None) -> int:
        """Bytes of a block that a segment fills: whole elements, if there is room for one."""
        if hint is None:
            return self._block_size
        _, unit = UNITS.get(hint.dtype, (1, 1))
        return max(self._block_size // unit * unit, min(unit, self._block_size))

    def _look(self, view: memoryview) -> None:
        """Recognises the file that the content is, by its beginning."""
        if view[: len(zip_members.MAGIC)] == zip_members.MAGIC:
            self._members = zip_members.Members()
        elif may_have_entries(view):
            self._segments.extend(segments(read_entries(io.BytesIO(view))))

    def _find_members(self, view: memoryview, done: int, last: bool) -> bool:
        """Adds the segments up to a zip archive's next stored member; False if more has to be seen first."""
        while self._members is not None:
            try:
                member = self._members.next(view, self._at)
            except zip_members.UnseenError:
                at = self._members.at - self._at  # in the view
                if last or (at == 0 and len(view) >= self._block_size):
                    self._members = None
                elif at > done:
                    self._segments.append(Segment(self._members.at))
                    return True
                else:
                    return False
            else:
                if member is None:
                    self._members = None
                elif member.is_stored and self._add(member):
                    return True
        return True

    def _add(self, member: zip_members.Member) -> bool:
        """Adds the segments up to the end of a stored member, if it has any."""
        found = segments(member.tensors, member.start - LOCAL_HEADER)  # what is before it is in no segment
        if not member.tensors and member.end - member.start > SMALL:
            found = [Segment(member.start), Segment(member.end, None, member.name, member.start)]
        self._segments.extend(found)
        return bool(found)


def is_for_tensors(head: bytes | memoryview) -> bool:
    """Whether the first bytes of content are those of a file of tensors, or of a zip archive of them."""
    if may_have_entries(head):
        return True
    if head[: len(zip_members.MAGIC)] != zip_members.MAGIC or len(head) < LOCAL_HEADER:
        return False
    size = int.from_bytes(head[26:28], "little")
    return bytes(head[LOCAL_HEADER : LOCAL_HEADER + size]).endswith((b".npy", b"/data.pkl"))


def one_kind(view: memoryview) -> int:
    """How many bytes from the first are all text, or none, but for short runs of the other kind."""
    kinds = [is_text(bytes(view[start : start + PIECE])) for start in range(0, len(view), PIECE)]
    kind = sum(kinds[:RUN]) * 2 >= min(RUN, len(kinds))
    for start in range(1, len(kinds) - RUN + 1):
        if all(other != kind for other in kinds[start : start + RUN]):
            return start * PIECE
    return len(view)


def is_text(piece: bytes) -> bool:
    """Whether a language model may know what this is: words with spaces between them, or any UTF-8 script."""

    def count(of: bytes) -> int:
        return len(piece) - len(piece.translate(None, of))

    if count(_CONTROL) * 50 > len(piece):
        return False
    high = count(_HIGH)
    if high * 10 > len(piece):
        invalid = len(piece) - len(piece.decode("utf-8", "ignore").encode())
        return invalid * 20 < high
    return count(_SPACE) * 16 > len(piece) and count(_DIGITS) * 2 < len(piece)


def segments(entries: Sequence[TensorEntry], done: int = 0) -> list[Segment]:
    """The segments of content with these tensors, from byte ``done`` on; after the last one there is none."""
    found: list[Segment] = []
    for position, entry in enumerate(entries):
        size = entry.end - entry.start
        if size >= SMALL or entry.end - done > 2 * SMALL:
            if entry.start > done:
                found.append(Segment(entry.start))
            done = entry.start
        if size >= SMALL:
            done = entry.end
            after = entries[position + 1].start if position + 1 < len(entries) else entry.end
            if after - done < _PADDING:
                done = after
            found.append(Segment(done, Hint(entry.dtype, entry.row), entry.name, entry.start))
    return found
