"""What every block of levels 4 to 6 starts with: counts of common text, and weights, from `make prior`.

The file ships with the package and is part of the format (formats/mixture.md): another one means another
version of the mixture.
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
from pathlib import Path

XXH3 = 0x0B5FC910F8387B6E  # of the knowledge in memory
PATH = Path(__file__).with_name("knowledge.zst")


@functools.cache
def load() -> mmap.mmap:
    """The knowledge in memory, aligned to pages; about 19 MB that all coders of the process share.

    Raises OSError if the package has lost its file, or has another.
    """
    import xxhash
    import zstandard

    from nczip import _core

    try:
        packed = PATH.read_bytes()
        folded = zstandard.ZstdDecompressor().decompress(packed)
    except (FileNotFoundError, zstandard.ZstdError):
        raise _damaged() from None
    known = _pages(_core.KNOWLEDGE_SIZE)
    try:
        _core.unfold_knowledge(folded, known)
    except ValueError:
        raise _damaged() from None
    if xxhash.xxh3_64_intdigest(known) != XXH3:
        raise _damaged()
    return known


def _pages(size: int) -> mmap.mmap:
    """Zeroed memory, in large pages where there are such: it is read at random."""
    pages = mmap.mmap(
        -1, size, **({"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if os.name == "posix" else {})
    )
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            pages.madvise(mmap.MADV_HUGEPAGE)
    return pages


def _damaged() -> OSError:
    return OSError(f"nczip is not installed whole: {PATH} is missing or damaged")
