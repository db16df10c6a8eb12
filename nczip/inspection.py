"""What an archive holds and what decoding it takes, read from its headers; nothing is decoded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from nczip import levels
from nczip.archive import BlockStart, FileSource, FrameStart, walk
from nczip.base import Base, BaseSources, all_given, name_of
from nczip.container import (
    BASED,
    FULL_FORM,
    INFLATED,
    LANGUAGE,
    LINES,
    MAJOR,
    MIXTURE,
    NAMED_FORM,
    PLANES,
    RAW,
    RAW_FORM,
    TENSOR,
    ZSTD,
    Frame,
    Method,
    inner_of,
    innermost,
)
from nczip.errors import MissingBaseError, MissingModelError, ModelFileError

METHOD_NAMES = {
    RAW: "raw",
    ZSTD: "zstd",
    MIXTURE: "mixture",
    LANGUAGE: "language",
    PLANES: "planes",
    TENSOR: "tensor",
    INFLATED: "inflated",
    LINES: "lines",
}


@dataclass(frozen=True, slots=True)
class BlockInfo:
    """Offsets and sizes in bytes; ``offset`` is in the archive, ``raw_offset`` in the whole content.

    ``model`` is 16 hexadecimal digits, the beginning of the SHA-256 of the language model that it needs, and
    ``base`` eight of the base.
    """

    offset: int
    method: str
    raw_offset: int
    raw_size: int
    packed_size: int  # without the header
    model: str | None = None
    base: str | None = None


@dataclass(slots=True)
class FrameInfo:
    """One frame; ``form`` is "solo" or "full".

    ``level`` is known for a solo frame that is not stored raw, and wherever a language model is named.
    """

    version: int
    form: str
    level: int | None
    methods: tuple[str, ...]
    max_block: int  # bytes of content that a block may have
    offset: int
    memory_of_others: int  # as memory_needed, of blocks without a language model or a base
    with_others: Frame | None = field(repr=False)  # where one is named
    bases: tuple[Base, ...] = field(repr=False)  # that are at hand
    packed_size: int = 0  # all bytes of the frame
    blocks: list[BlockInfo] = field(default_factory=list)

    @property
    def raw_size(self) -> int:
        """Bytes of content."""
        return sum(block.raw_size for block in self.blocks)

    @property
    def memory_needed(self) -> int | None:
        """Bytes that the process takes at most, about, to decode it with one thread.

        With a language model these follow from the model, which is read for it; with a base, from its size.
        None where it is not here.
        """
        if self.with_others is None:
            return self.memory_of_others
        try:
            return levels.decoding_memory(self.with_others, bases=self.bases)
        except (MissingModelError, MissingBaseError, ModelFileError):
            return None


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
    def models(self) -> list[str]:
        """The language models that decoding needs, each once, as ``BlockInfo.model`` has them."""
        found = (block.model for frame in self.frames for block in frame.blocks)
        return list(dict.fromkeys(model for model in found if model is not None))

    @property
    def bases(self) -> list[str]:
        """The bases that decoding needs, each once, as ``BlockInfo.base`` has them."""
        found = (block.base for frame in self.frames for block in frame.blocks)
        return list(dict.fromkeys(base for base in found if base is not None))

    @property
    def memory_needed(self) -> int | None:
        """Bytes that the process takes at most, about, to decode it with one thread; None as for a frame."""
        needs = [frame.memory_needed for frame in self.frames]
        return None if None in needs else max(need for need in needs if need is not None)


def inspect(file: str | os.PathLike[str] | BinaryIO, *, base: BaseSources | None = None) -> ArchiveInfo:
    """Walks an archive's headers and indexes, without decoding; a pipe is read through, a file sought.

    Raises OSError, and FormatError, CorruptError or NewerVersionError as reading would, but checksums of
    packed bytes and content are not looked at. ``base``, as Reader takes it, is for ``memory_needed``.
    """
    bases = all_given(base)
    if isinstance(file, str | os.PathLike):
        with Path(file).open("rb") as opened:
            return inspect(opened, base=bases)
    source = FileSource(file)
    info = ArchiveInfo()
    for event in walk(source):
        if isinstance(event, FrameStart):
            info.frames.append(_frame_info(event.offset, event.frame, bases))
        elif isinstance(event, BlockStart):
            head = event.head
            info.frames[-1].blocks.append(
                BlockInfo(
                    event.offset,
                    method_name(event.method),
                    event.raw_offset,
                    head.raw_size,
                    head.packed_size,
                    _model(event.method),
                    _base(event.method),
                )
            )
            source.skip(head.packed_size)
        else:
            info.frames[-1].packed_size = source.offset - info.frames[-1].offset
    return info


def method_name(method: Method) -> str:
    """What listings call a method: a wrapper, then what it is around; that alone if it works with a base."""
    inner = inner_of(method)
    if method.id == BASED and inner is not None:
        return method_name(inner)
    return METHOD_NAMES[method.id] + (f" {method_name(inner)}" if inner is not None else "")


def _frame_info(offset: int, frame: Frame, bases: tuple[Base, ...]) -> FrameInfo:
    methods = levels.frame_methods(frame)
    others = tuple(method for method in methods if method.id != BASED and innermost(method).id != LANGUAGE)
    return FrameInfo(
        version=MAJOR,
        form="full" if frame.form == FULL_FORM else "solo",
        level=_level(frame),
        methods=tuple(method_name(method) for method in methods),
        max_block=frame.max_block,
        offset=offset,
        memory_of_others=levels.decoding_memory(replace(frame, methods=others)) if others else 0,
        with_others=frame if others != methods else None,
        bases=bases,
    )


def _level(frame: Frame) -> int | None:
    for method in map(innermost, frame.methods):
        if method.id == MIXTURE and frame.form == NAMED_FORM and len(method.config) > 1:
            return method.config[1]
        if method.id == LANGUAGE:
            from nczip import language

            return language.level(method)
    return frame.form if frame.form < RAW_FORM else frame.level or None


def _base(method: Method) -> str | None:
    name = name_of(method)
    return None if name is None else name.hex()


def _model(method: Method) -> str | None:
    method = innermost(method)
    if method.id != LANGUAGE:
        return None
    from nczip import language

    return language.model_id(method).hex()
