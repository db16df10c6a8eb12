"""Bases: files that both sides have, and that blocks are packed against.

A base may be an older version of what is packed, a corpus, or what ``nczip train`` made. Archives hold its
name, the beginning of the SHA-256 of its bytes. What coders make of a base is kept, so that many records
share the work.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Union, cast

from nczip.container import BASE_NAME, BASED, Method, inner_of, wrapped
from nczip.errors import MissingBaseError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from nczip import _core
    from nczip.tensor_files import TensorEntry

MOST = 256 << 20  # bytes of a base that are used, its last ones; tensors may refer to any
STEP = 16 << 10  # bytes: a fraction of a second at the slowest level
PIECE = 1 << 20  # bytes read at a time
# Levels 1 to 3 with a base: zstd looks into all of it from its level 5 on.
ZSTD_LEVELS = {1: 5, 2: 9, 3: 19}
MOST_HASH_BITS = 26  # of zstd's tables: 256 MiB

BaseSource = Union["Base", "Buffer", str, os.PathLike[str]]
BaseSources = BaseSource | Sequence[BaseSource]


class Base:
    """A base in memory: the bytes of an object, or of the file at a path. May be used by many threads.

    ``content`` is its last MOST bytes, ``size`` how many it has, ``name`` the first four bytes of the SHA-256
    of all of it. A larger file stays open, and a larger object in use, as long as this lives. Raises OSError.
    """

    def __init__(self, source: Buffer | str | os.PathLike[str]) -> None:
        self._file: BinaryIO | None = None  # where the bytes before ``content`` are,
        self._view: memoryview | None = None  # or where else
        if isinstance(source, str | os.PathLike):
            self.content, self.size, digest, self._file = _read(Path(source))
        else:
            import hashlib

            view = memoryview(source).cast("B")
            self.content, self.size, digest = bytes(view[-MOST:]), len(view), hashlib.sha256(view).digest()
            if self.size > len(self.content):
                self._view = view
        if self._file is not None:
            self._written = os.fstat(self._file.fileno()).st_mtime_ns
            weakref.finalize(self, self._file.close)
        self.name = digest[:BASE_NAME]
        self._lock = threading.Lock()
        self._file_lock = threading.Lock()
        self._tensors: dict[str, TensorEntry] | None = None
        self._primed: tuple[tuple[bytes, int], _core.PrimedMixture] | None = None
        self._dictionaries: dict[int, Any] = {}

    def read(self, start: int, size: int) -> memoryview:
        """Bytes of the base, all of which it has. Raises OSError where they cannot be had any more.

        Not even once, where they are not among the last MOST of a pipe.
        """
        begin = start - (self.size - len(self.content))
        if begin >= 0:
            return memoryview(self.content)[begin : begin + size]
        if self._view is not None:
            return self._view[start : start + size]
        if self._file is None:
            raise OSError(f"a base of more than {MOST} bytes must be a file that can be sought")
        with self._file_lock:
            self._file.seek(start)
            found = self._file.read(size)
            is_other = os.fstat(self._file.fileno()).st_mtime_ns != self._written
        if len(found) < size or is_other:
            raise OSError("the base has changed while it was in use")
        return memoryview(found)

    @property
    def tensors(self) -> dict[str, TensorEntry]:
        """The tensors in the file that it is, by what ``tensor_key`` makes of names; none in other files."""
        from nczip.tensor_files import read_file, tensor_key

        with self._lock:
            if self._tensors is None:
                file = cast(BinaryIO, io.BufferedReader(_File(self)))
                try:
                    self._tensors = {tensor_key(entry.name): entry for entry in read_file(file, self.size)}
                except OSError:
                    self._tensors = {}
            return self._tensors

    def primed(self, config: bytes, raw_size: int, step: Callable[[int, int], None]) -> _core.PrimedMixture:
        """A mixture of this configuration that has read the base, for a block of so many bytes.

        The last one is kept, and serves all blocks of about that size. ``step`` is called with zeros while
        it reads, and may raise to stop it. Raises ValueError for a configuration that is not known.
        """
        from nczip import _core, knowledge

        key = config, _core.primed_room(config, len(self.content), raw_size)
        with self._lock:  # threads that begin together share one
            if self._primed is None or self._primed[0] != key:
                self._primed = None  # its memory is free before more is taken
                mixture = _core.PrimedMixture(config, self.content, key[1], knowledge.load())
                while not mixture.advance(STEP):
                    step(0, 0)
                self._primed = key, mixture
            return self._primed[1]

    def dictionary(self, level: int = 0) -> Any:
        """The base as zstd takes it; for a level of nczip ready to compress with, for 0 to decompress."""
        import zstandard

        with self._lock:
            if level not in self._dictionaries:
                made = zstandard.ZstdCompressionDict(self.content, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
                if level:  # by the base alone: which block comes first must not matter
                    made.precompute_compress(compression_params=zstd_parameters(level, len(self.content)))
                self._dictionaries[level] = made
            return self._dictionaries[level]


def zstd_parameters(level: int, base_size: int, **others: Any) -> Any:
    """How zstd works with a base at levels 1 to 3; ``others`` as ZstdCompressionParameters has them."""
    import zstandard

    make = zstandard.ZstdCompressionParameters.from_level
    parameters = make(ZSTD_LEVELS[level], dict_size=base_size, **others)
    if level == 3:  # its binary trees hold everything
        return parameters
    # The other searches find what has an entry in a hash table, which would be made for shorter windows.
    bits = max(parameters.hash_log, min(base_size.bit_length() - 1, MOST_HASH_BITS))
    return make(ZSTD_LEVELS[level], dict_size=base_size, hash_log=bits, **others)


def given(source: BaseSource | None) -> Base | None:
    """A base as callers give it. Raises OSError."""
    return source if source is None or isinstance(source, Base) else Base(source)


def all_given(sources: BaseSources | None) -> tuple[Base, ...]:
    """Any number of bases as callers give them. Raises OSError."""
    if isinstance(sources, list | tuple):
        return tuple(source if isinstance(source, Base) else Base(source) for source in sources)
    one = given(sources)  # type: ignore[arg-type]  # bytes are a sequence too
    return () if one is None else (one,)


def around(inner: Method, base: Base) -> Method:
    """The inner method, with this base."""
    return wrapped(BASED, base.name, inner)


def name_of(method: Method) -> bytes | None:
    """The name of the base that a method needs, if it needs one."""
    return method.config[:BASE_NAME] if method.id == BASED else None


def find(bases: Sequence[Base], method: Method) -> tuple[Base, Method]:
    """The base that a BASED method names, and the method within. Raises MissingBaseError."""
    name, inner = method.config[:BASE_NAME], inner_of(method)
    assert inner is not None  # or the container would not know it
    for base in bases:
        if base.name == name:
            return base, inner
    raise MissingBaseError(name, [base.name for base in bases])


def _read(path: Path) -> tuple[bytes, int, bytes, BinaryIO | None]:
    """The last MOST bytes of a file, how many it has, the digest of all of them; with as much memory as that.

    And the file, if it has more bytes that can be had again.
    """
    import hashlib

    digest = hashlib.sha256()
    kept = bytearray()
    size = 0
    file = path.open("rb")
    try:
        if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):  # /dev/zero has no end
            raise OSError(errno.EINVAL, "a device is no base", str(path))
        while piece := file.read(PIECE):
            digest.update(piece)
            size += len(piece)
            kept += piece
            if len(kept) >= 2 * MOST:
                del kept[:-MOST]
        has_rest = size > MOST and file.seekable()
    except BaseException:
        file.close()
        raise
    if not has_rest:
        file.close()
    return bytes(kept[-MOST:]), size, digest.digest(), file if has_rest else None


class _File(io.RawIOBase):
    """A base as a file, from its first byte on."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._base.size}[whence]
        if self._at < 0:
            raise ValueError("negative seek position")
        return self._at

    def readinto(self, into: Any, /) -> int:
        view = memoryview(into).cast("B")
        size = max(0, min(len(view), self._base.size - self._at))
        view[:size] = self._base.read(self._at, size) if size else b""
        self._at += size
        return size
