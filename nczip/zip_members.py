"""Members of a zip archive, found as its content comes, before the list at its end is seen.

Sizes may follow the data that they are of, as in what PyTorch writes and what goes through a pipe. A
checkpoint's pickle and the header of an NPY file know them before; of what is short, the end is looked for.

Layout: APPNOTE.TXT 6.3.10 (PKWARE, 2022).
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass, replace

from nczip.tensor_files import LOCAL_HEADER, NPY_MAGIC, Checkpoint, TensorEntry, read_entries

MAGIC = b"PK\3\4"
_DESCRIPTOR = b"PK\7\10"  # then a CRC and both sizes, of 4 or 8 bytes each
_DESCRIPTORS = (16, 24)  # bytes
_AFTER = (MAGIC, b"PK\1\2")  # a member follows, or the list of all
_STREAMED = 8  # flag
_NPY_HEADER = 4 << 10  # bytes of a header that are read; ours take 128


class UnseenError(Exception):
    """More of the content has to be seen first."""


@dataclass(frozen=True, slots=True)
class Member:
    """``start`` and ``end`` of its data are bytes of the content, and so are those of the ``tensors`` in it.

    These are in the order of their bytes, none in another. A packed member has none.
    """

    name: str
    start: int
    end: int
    is_stored: bool
    tensors: tuple[TensorEntry, ...] = ()


class Members:
    """Goes from member to member; ``at`` is the byte of the content where the next one's header should be."""

    def __init__(self) -> None:
        self.at = 0
        self._checkpoint: Checkpoint | None = None

    def next(self, view: memoryview, begin: int) -> Member | None:
        """The next member, or None if there is no other or its end is not known.

        ``view`` is the content from byte ``begin`` on. Raises UnseenError.
        """
        at = self.at - begin
        at += _descriptor_size(view, at)
        name, start, size, is_stored = _header(view, at)
        tensors: list[TensorEntry] = []
        if is_stored and name.endswith(".npy") and view[start : start + len(NPY_MAGIC)] == NPY_MAGIC:
            tensors = read_entries(io.BytesIO(view[start : start + _NPY_HEADER]))
        if size is None and is_stored:
            if tensors:
                size = tensors[0].end
            else:
                known = self._checkpoint.sizes.get(name) if self._checkpoint else None
                size = known or _size_by_descriptor(view, start)
        if size is None:
            return None
        if len(tensors) == 1 and tensors[0].end == size:
            tensors = [replace(tensors[0], name=name.removesuffix(".npy"))]
        else:
            tensors = self._checkpoint.tensors(name, size) if self._checkpoint else []
        if is_stored and name.endswith("/data.pkl") and self._checkpoint is None:
            if start + size > len(view):
                raise UnseenError
            self._checkpoint = Checkpoint.read(name, view[start : start + size])
        start += begin
        self.at = start + size
        return Member(name, start, self.at, is_stored, tuple(entry.moved(start) for entry in tensors))


def _header(view: memoryview, at: int) -> tuple[str, int, int | None, bool]:
    """Of the member with its header at a byte of the view: name, where its data begin, size, whether stored.

    The size is None if it is not known from here, or if there is no such header.
    """
    if at + LOCAL_HEADER > len(view):
        raise UnseenError
    magic, _, flags, method, _, _, _, size, _, length, extra = struct.unpack(
        "<4sHHHHHIIIHH", view[at : at + LOCAL_HEADER]
    )
    if magic != MAGIC:
        return "", at, None, False
    start = at + LOCAL_HEADER + length + extra
    if start > len(view):
        raise UnseenError
    name = bytes(view[at + LOCAL_HEADER : start - extra]).decode("utf-8", "surrogateescape")
    if flags & _STREAMED:
        return name, start, None, method == 0
    if size == 0xFFFFFFFF:  # 64 bits stand in the extra field: two u16, then the size itself and as stored
        fields = bytes(view[start - extra : start])
        if fields[:2] != b"\1\0" or len(fields) < 20:
            return name, start, None, False
        size = int.from_bytes(fields[12:20], "little")
    return name, start, size, method == 0


def _descriptor_size(view: memoryview, at: int) -> int:
    """Bytes of the sizes that follow a member's data there, if they do."""
    if view[at : at + 4] != _DESCRIPTOR:
        return 0
    if at + _DESCRIPTORS[-1] + 4 > len(view):
        raise UnseenError
    return next((size for size in _DESCRIPTORS if view[at + size : at + size + 4] in _AFTER), 0)


def _size_by_descriptor(view: memoryview, start: int) -> int:
    """Bytes from a member's first to the sizes that say so. Raises UnseenError."""
    for match in re.finditer(_DESCRIPTOR, view[start:]):
        size, at = match.start(), start + match.start()
        for width in (4, 8):
            if view[at + 8 : at + 8 + width] == size.to_bytes(width, "little"):
                return size
    raise UnseenError
