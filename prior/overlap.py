"""The overlap guard: finds what texts have in common with the corpora that nczip is measured on."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

SHARED_RUN = 48  # bytes, folded, from which equal text counts as copied: longer than stock phrases and tags
PARAGRAPH = 2000  # bytes: what is shared goes with its paragraph if that is no longer, else with its lines

_WORD = 8  # bytes hashed at a time
_READ = 1 << 24  # bytes of a corpus held at a time, so that enwik9 is as cheap in memory as Canterbury
_FILTER_BITS = 27  # 128 MiB: one byte for each of 2^27 hash remainders, mostly zero for 25 MB of text

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]


def folded(text: bytes) -> tuple[Bytes, Positions]:
    """``text`` as compared, and where each of its bytes stood.

    Lower case; whitespace and control bytes as single spaces, so that another edition's line breaks hide
    nothing; of a run of one byte the first two, so that rules and rows of zeros do not count as shared.
    """
    raw = np.frombuffer(text.lower(), np.uint8)
    plain = np.where(raw < 33, np.uint8(32), raw)
    kept = np.ones(len(plain), bool)
    kept[2:] = (plain[2:] != plain[1:-1]) | (plain[2:] != plain[:-2])
    kept[1:] &= (plain[1:] != 32) | (plain[:-1] != 32)
    return plain[kept], np.flatnonzero(kept)


def window_hashes(text: Bytes, run: int = SHARED_RUN) -> Hashes:
    """A 64-bit hash of the ``run`` bytes from each position on; ``run`` is a multiple of 8."""
    count = max(0, len(text) - run + 1)
    hashes = np.zeros(count, np.uint64)
    if count:
        windows = np.lib.stride_tricks.sliding_window_view(text, _WORD)
        words = np.ascontiguousarray(windows).view("<u8").ravel()
        for offset in range(0, run, _WORD):
            hashes = (hashes ^ words[offset : offset + count]) * np.uint64(0x9E3779B97F4A7C15)
            hashes ^= hashes >> np.uint64(29)
    return hashes


def shared_hashes(texts: Iterable[bytes], known: Iterable[bytes], run: int = SHARED_RUN) -> Hashes:
    """Sorted hashes of the windows of ``run`` bytes that are in one of ``texts`` and in one of ``known``."""
    none = np.zeros(0, np.uint64)
    ours = np.sort(np.concatenate([none, *(window_hashes(folded(text)[0], run) for text in texts)]))
    if not len(ours):
        return none
    mask = np.uint64((1 << _FILTER_BITS) - 1)
    # Nearly every window of a corpus ends here: a look-up that costs a hundredth of a search in ``ours``.
    seen = np.zeros(1 << _FILTER_BITS, bool)
    seen[ours & mask] = True
    shared = [none]
    for text in known:
        theirs = window_hashes(folded(text)[0], run)
        theirs = theirs[seen[theirs & mask]]
        places = np.minimum(np.searchsorted(ours, theirs), len(ours) - 1)
        shared.append(theirs[ours[places] == theirs])
    return np.unique(np.concatenate(shared))


def without_shared(text: bytes, shared: Hashes, run: int = SHARED_RUN) -> bytes:
    """``text`` less every paragraph that a window in ``shared`` touches."""
    plain, positions = folded(text)
    hits = np.flatnonzero(np.isin(window_hashes(plain, run), shared))
    return _without(text, ((int(positions[hit]), int(positions[hit + run - 1]) + 1) for hit in hits))


def without_named(text: bytes, works: Sequence[str]) -> bytes:
    """``text`` less every paragraph that names one of ``works``, however the name is broken to lines."""
    spans = []
    for work in works:  # one at a time: a pattern that starts with a letter is searched for many times faster
        words = r"\s+".join(re.escape(word) for word in work.split())
        spans += [found.span() for found in re.finditer(rf"{words}(?!\w)".encode(), text)]
    return _without(text, sorted(spans))


def _without(text: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    """``text`` less the paragraphs around ``spans``, which are ordered by their start."""
    kept = []
    done = 0
    for start, end in spans:
        if end <= done:
            continue
        first, last = _paragraph(text, start, end)
        kept.append(text[done : max(done, first)])
        done = max(done, last)
    return b"".join(kept) + text[done:]


def _paragraph(text: bytes, start: int, end: int) -> tuple[int, int]:
    """From where to where the paragraph around a span goes, with the empty line after it; or its lines.

    Of a line that goes on and on, ``PARAGRAPH`` bytes on both sides.
    """
    for separator in b"\n\n", b"\n":
        # Looking no farther than matters: some texts are one paragraph, or one line.
        low, high = max(0, start - PARAGRAPH), min(len(text), end + PARAGRAPH)
        before = text.rfind(separator, low, start)
        after = text.find(separator, end - 1, high)
        first = before + len(separator) if before >= 0 else low
        last = after + len(separator) if after >= 0 else high
        if last - first <= PARAGRAPH:
            break
    return first, last


def corpus_files(directory: Path) -> list[Path]:
    """The text files of the corpora in ``directory``: those without a zero byte near their start."""
    found = []
    for path in sorted(path for path in directory.rglob("*") if path.is_file() and path.name != "SHA256SUMS"):
        with path.open("rb") as stream:
            if b"\0" not in stream.read(1 << 16):
                found.append(path)
    return found


def parts(paths: Iterable[Path]) -> Iterator[bytes]:
    """The files in parts that overlap by more than any shared run, so that a part's end hides none."""
    for path in paths:
        with path.open("rb") as stream:
            tail = b""
            while part := stream.read(_READ):
                yield tail + part
                tail = part[-4096:]
