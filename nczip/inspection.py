"""What an archive holds and what decoding it takes, read from its headers; nothing is decoded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from nczip import levels
from nczip.archive import BlockStart, FileSource, FrameStart, walk
from nczip.container import FULL_FORM, MAJOR, MIXTURE, RAW, RAW_FORM, ZSTD, Frame

METHOD_NAMES = {RAW: "raw", ZSTD: "zstd", MIXTURE: "mixture"}


@dataclass(frozen=True, slots=True)
class BlockInfo:
    """Offsets and sizes in bytes; ``offset`` is in the archive, ``raw_offset`` in the whole content."""

    offset: int
    method: str
    raw_offset: int
    raw_size: int
    packed_size: int  # without the header


@dataclass(slots=True)
class FrameInfo:
    """One frame; ``form`` is "solo" or "full"; ``level`` is known for a solo frame that is not stored raw."""

    version: int
    form: str
    level: int | None
    methods: tuple[str, ...]
    max_block: int  # bytes of content that a block may have
    offset: int
    memory_needed: int  # bytes of the process, to decode with one thread
    packed_size: int = 0  # all bytes of the frame
    blocks: list[BlockInfo] = field(default_factory=list)

    @property
    def raw_size(self) -> int:
        """Bytes of content."""
        return sum(block.raw_size for block in self.blocks)


@dataclass(slots=True)
class ArchiveInfo:
    """A whole archive."""

    frames: list[FrameInfo] = field(default_factory=list)

    @property
    def raw_size(self) -> int:
        """Bytes of content."""
        return sum(frame.raw_size for frame in self.frames)

    @property
    def packed_size(self) -> int:
        """Bytes of the archive."""
        return sum(frame.packed_size for frame in self.frames)

    @property
    def memory_needed(self) -> int:
        """Bytes that the process takes at most, about, to decode it with one thread."""
        return max(frame.memory_needed for frame in self.frames)


def inspect(file: str | os.PathLike[str] | BinaryIO) -> ArchiveInfo:
    """Walks an archive's headers and indexes, without decoding; a pipe is read through, a file sought.

    Raises OSError, and FormatError, CorruptError or NewerVersionError as reading would, but checksums of
    packed bytes and content are not looked at.
    """
    if isinstance(file, str | os.PathLike):
        with Path(file).open("rb") as opened:
            return inspect(opened)
    source = FileSource(file)
    info = ArchiveInfo()
    for event in walk(source):
        if isinstance(event, FrameStart):
            info.frames.append(_frame_info(event.offset, event.frame))
        elif isinstance(event, BlockStart):
            head = event.head
            name = METHOD_NAMES[event.method.id]
            info.frames[-1].blocks.append(
                BlockInfo(event.offset, name, event.raw_offset, head.raw_size, head.packed_size)
            )
            source.skip(head.packed_size)
        else:
            info.frames[-1].packed_size = source.offset - info.frames[-1].offset
    return info


def _frame_info(offset: int, frame: Frame) -> FrameInfo:
    methods = levels.frame_methods(frame)
    return FrameInfo(
        version=MAJOR,
        form="full" if frame.form == FULL_FORM else "solo",
        level=frame.form if frame.form not in (FULL_FORM, RAW_FORM) else None,
        methods=tuple(METHOD_NAMES[method.id] for method in methods),
        max_block=frame.max_block,
        offset=offset,
        memory_needed=levels.decoding_memory(frame),
    )
