"""What every block of levels 4 to 6 starts with: counts of common text, and weights, from `make prior`.

The file ships with the package and is part of the format (formats/mixture.md): another one means another
version of the mixture.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import threading
from pathlib import Path

XXH3 = 0xE9BBE94575451293  # of the file
PATH = Path(__file__).with_name("knowledge.zst")

_loading = threading.Lock()


def load() -> mmap.mmap:
    """The knowledge in memory, aligned to pages; about 19 MB that all coders of the process share.

    Raises OSError if the package has lost its file, or has another.
    """
    with _loading:  # or threads that begin together would each get their own
        return _load()


@functools.cache
def _load() -> mmap.mmap:
    import xxhash
    import zstandard

    from nczip import _core

    try:
        packed = PATH.read_bytes()
    except OSError:
        packed = b""
    # The digest of all that the file has: what zstd then gives needs no bounds, and nothing follows it.
    if xxhash.xxh3_64_intdigest(packed) != XXH3:
        raise OSError(f"nczip is not installed whole: {PATH} is missing or damaged")
    known = _pages(_core.KNOWLEDGE_SIZE)
    # Nothing is held twice: the file's content goes to the end of the memory in one step, where zstd looks
    # back into it instead of keeping a window, and is unfolded from there.
    folded = zstandard.frame_content_size(packed)
    reader = zstandard.ZstdDecompressor().stream_reader(packed)
    if reader.readinto(memoryview(known)[-folded:]) != folded:
        raise OSError(f"zstd gave less than all of {PATH}")
    del packed, reader
    _core.unfold_knowledge(known, folded)
    return known


def packed_size() -> int:
    """Bytes that it takes in the package."""
    return PATH.stat().st_size


def _pages(size: int) -> mmap.mmap:
    """Zeroed memory, in large pages where there are such: it is read at random."""
    pages = mmap.mmap(
        -1, size, **({"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if os.name == "posix" else {})
    )
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            pages.madvise(mmap.MADV_HUGEPAGE)
    return pages
