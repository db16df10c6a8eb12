"""PNG's image data, a zlib stream that is cut into IDAT chunks: joined, and parted again.

formats/inflated.md specifies the table.
"""

from __future__ import annotations

import itertools
import zlib

from nczip.container import Source, read_varint, varint
from nczip.errors import CorruptError

IDAT = b"IDAT"
AROUND = 12  # bytes of a chunk beside its data: length, type, CRC
MOST = 1 << 16  # chunks of a block: others stay as they are


def join(raw: bytes) -> tuple[bytes, bytes, list[tuple[int, int]]]:
    """A table of the IDAT chunks whose checksums are right; the bytes with only their data in their place.

    Also where in these the data of each image begin and end.
    """
    table: list[bytes] = []
    pieces: list[bytes] = []
    images: list[tuple[int, int]] = []
    size = end = done = 0  # of the joined bytes; of the chunks so far, in raw and in the joined bytes
    left = MOST
    at = raw.find(IDAT) - 4
    while at != -5:
        sizes: list[int] = []
        start = at
        while len(sizes) < left and (data := _data_at(raw, at)) is not None:
            if not sizes:
                pieces.append(raw[end:at])
                size += len(pieces[-1])
            sizes.append(len(data))
            pieces.append(data)
            at += len(data) + AROUND
        if sizes:
            left -= len(sizes)
            gap, end = size - done, at
            done = size + sum(sizes)
            images.append((size, done))
            size = done
            for count, even, last in _series(sizes):
                table.append(varint(gap) + varint(count) + varint(even) + varint(last))
                gap = 0
        at = raw.find(IDAT, max(at, start + 1) + 4) - 4 if left else -5
    pieces.append(raw[end:])
    return varint(len(table)) + b"".join(table), b"".join(pieces), images


def read(table: Source) -> list[tuple[int, int, int, int]]:
    """The table that ``join`` made: for each run of chunks the bytes before it, how many, and two sizes.

    Raises CorruptError.
    """
    count = read_varint(table)
    if count > MOST:
        raise CorruptError("its images claim to be more than there is")
    return [
        (read_varint(table), read_varint(table), read_varint(table), read_varint(table)) for _ in range(count)
    ]


def part(runs: list[tuple[int, int, int, int]], joined: bytes, raw_size: int) -> bytes:
    """Undoes ``join``; ``raw_size`` is the most bytes that there may be. Raises CorruptError."""
    pieces: list[bytes] = []
    size = at = chunks = 0
    for gap, count, even, last in runs:
        size += gap + count * (even + AROUND) + last + AROUND
        chunks += count + 1
        if chunks > MOST or size > raw_size or gap + count * even + last > len(joined) - at:
            raise CorruptError("its images claim to be more than there is")
        pieces.append(joined[at : at + gap])
        at += gap
        for length in itertools.chain(itertools.repeat(even, count), (last,)):
            chunk = IDAT + joined[at : at + length]
            pieces.append(length.to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big"))
            at += length
    pieces.append(joined[at:])
    return b"".join(pieces)


def _data_at(raw: bytes, at: int) -> bytes | None:
    """The data of the IDAT chunk at an offset, if a whole one with the right checksum is there."""
    if at < 0 or raw[at + 4 : at + 8] != IDAT:
        return None
    end = at + 8 + int.from_bytes(raw[at : at + 4], "big")
    crc = raw[end : end + 4]
    if len(crc) < 4 or zlib.crc32(raw[at + 4 : end]).to_bytes(4, "big") != crc:
        return None
    return raw[at + 8 : end]


def _series(sizes: list[int]) -> list[tuple[int, int, int]]:
    """The sizes as runs: how many of one size, that size, the size of the one after them."""
    series = []
    at = 0
    while at < len(sizes):
        count = 0
        while at + count < len(sizes) - 1 and sizes[at + count] == sizes[at]:
            count += 1
        series.append((count, sizes[at] if count else 0, sizes[at + count]))
        at += count + 1
    return series
