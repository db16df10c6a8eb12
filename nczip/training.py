"""Training: one base for many small pieces of data, from samples of what they will be like.

A base is worth what it shows of strings that come again, each a time or two: samples are chosen one after
another, each for the strings it has that many samples have and the chosen ones do not (greedy coverage, as
in zstd's COVER by Handte, 2016, but of whole samples and with less, not nothing, for what is there already:
models learn how often things come). The first chosen stands last, nearest to the data.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from typing_extensions import Buffer

SIZE = 112640  # bytes of a base, where nothing else is said; zstd's default
PIECE = 4 << 10  # bytes: longer samples are cut up, behind line feeds if they have any
MOST_SAMPLES = 256 << 20  # bytes of samples that are looked at; of more, evenly spread pieces
STRING = 6  # bytes of the strings that count
TABLE_BITS = 22  # log2 of the strings that are told apart
SHOWN = 3  # a string that has been chosen so many times counts for 2^-SHOWN of what it did
GOLDEN = np.uint64(0x9E3779B97F4A7C15)

Places = npt.NDArray[np.uint32]


def train(samples: Iterable[Buffer], size: int = SIZE) -> bytes:
    """A base of ``size`` bytes, fewer if the samples have no more; the same for the same samples.

    Give as samples what will be compressed: records, small files. Of other data of that kind a few hundred
    times ``size`` is plenty. Raises ValueError for a size below 1 and where there is nothing to learn from.
    """
    if size < 1:
        raise ValueError("a base needs at least one byte")
    pieces = _few_enough([piece for sample in samples for piece in _pieces(bytes(memoryview(sample)))])
    if not pieces:
        raise ValueError("no samples, or all of them are empty")
    found = [_places(piece) for piece in pieces]
    in_samples = np.zeros(1 << TABLE_BITS, np.int64)  # how many have each string
    for places in found:
        in_samples[places] += 1
    in_samples[in_samples == 1] = 0  # it came once and may never come again
    chosen = np.zeros(1 << TABLE_BITS, np.int64)  # of these, how often it is in the base

    def worth(number: int) -> int:
        places = found[number]
        left = in_samples[places] >> np.minimum(SHOWN * chosen[places], 63)
        return (int(left.sum()) << 20) // len(pieces[number])

    # What a piece is worth only falls, so one that is still worth most when looked at again is the best.
    queue = [(-worth(number), number) for number in range(len(pieces))]
    heapq.heapify(queue)
    base: list[bytes] = []
    left = size
    while queue and left > 0:
        now = -worth(queue[0][1])
        if now > queue[0][0]:
            heapq.heapreplace(queue, (now, queue[0][1]))
            continue
        _, number = heapq.heappop(queue)
        base.append(pieces[number])
        chosen[found[number]] += 1
        left -= len(pieces[number])
    return b"".join(reversed(base))[-size:]


def lines(content: Buffer) -> list[bytes]:
    """The samples of a file of records, one a line, with their line feeds."""
    return bytes(memoryview(content)).splitlines(keepends=True)


def _pieces(sample: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(sample):
        end = min(start + PIECE, len(sample))
        if end < len(sample):
            end = sample.rfind(b"\n", start, end) + 1 or end
        yield sample[start:end]
        start = end


def _few_enough(pieces: list[bytes]) -> list[bytes]:
    step = -(-sum(map(len, pieces)) // MOST_SAMPLES)
    return pieces[::step] if step > 1 else pieces


def _places(piece: bytes) -> Places:
    """Where the table counts the strings of a piece, each once, in order."""
    values = np.frombuffer(piece, np.uint8).astype(np.uint64)
    count = max(len(values) - STRING + 1, 0)
    hashes = np.zeros(count, np.uint64)
    for k in range(STRING):
        hashes = (hashes + values[k : k + count] + np.uint64(1)) * GOLDEN
    return np.unique((hashes >> np.uint64(64 - TABLE_BITS)).astype(np.uint32))
