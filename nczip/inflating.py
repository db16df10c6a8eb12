"""Deflate streams inside a block (zip, gzip, PNG, PDF, docx, git): taken apart for models to see inside.

What they inflate to takes the place of the streams, and recipes rebuild them bit for bit (after preflate, D.
Steinke, 2018, and its forerunner precomp, C. Schneider). formats/inflated.md specifies it.
"""

from __future__ import annotations

import bisect
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nczip import chunks
from nczip.container import LANGUAGE, MAX_BLOCK, MAX_LANGUAGE_BLOCK, BytesSource, Method, read_varint, varint
from nczip.errors import CorruptError, TruncatedError

Step = Callable[[], None]  # called now and then; may raise to stop

GROWTH = 4  # bytes of inflated content at most, for each of a block's
SMALL = 16 << 20  # bytes that a small block may inflate to, though that be more: pictures of a screen
SMALL_LANGUAGE = 4 << 20  # the same where a language model reads them
SMALL_GROWTH = 256  # of a small block
MEMORY = 32 << 20  # bytes: chains, the tokens of a deflate block, and decisions about them
ZIP_FILE, GZIP_MEMBER = b"PK\x03\x04", b"\x1f\x8b\x08"
DEFLATED = b"\x08\0"  # zip's compression method
ENTRY = 20  # bytes at most of a stream in the table: two numbers
LONGEST_NAME = 4096  # bytes, in a gzip header
NO_TRAILER, ADLER32, CRC32 = range(3)  # what follows a stream and can be computed: of zlib and of gzip

# Where a stream may begin: a file in a zip archive, a gzip member, a zlib header without dictionary.
_ZLIB_HEADERS = [
    bytes([method, flags])
    for method in range(0x08, 0x80, 0x10)
    for flags in range(256)
    if (method << 8 | flags) % 31 == 0 and not flags & 0x20
]
_BEGINNINGS = re.compile(b"|".join(map(re.escape, (ZIP_FILE, GZIP_MEMBER, *_ZLIB_HEADERS))))


@dataclass(frozen=True, slots=True)
class Inflated:
    """A block with its streams taken apart."""

    content: bytes  # with what the streams inflate to in their places, then the table of where they were
    table_size: int  # bytes
    recipe: bytes  # what rebuilds them

    def join(self, packed: bytes) -> bytes:
        """The block's packed bytes, given those of the content."""
        sizes = (len(self.content), self.table_size, len(self.recipe))
        return b"".join(map(varint, sizes)) + self.recipe + packed


def part(packed: bytes | memoryview, most: int) -> tuple[Inflated, bytes | memoryview, int]:
    """What ``Inflated.join`` joined: all but the content, the content's packed bytes, and its size.

    Raises CorruptError where it claims to be more than ``most`` bytes.
    """
    source = BytesSource(packed)
    try:
        size, table_size, recipe_size = (read_varint(source) for _ in range(3))
        if size > most or table_size > size:
            raise CorruptError(f"it claims to inflate to {size} bytes; {most} are allowed here")
        recipe = source.take(recipe_size)
    except TruncatedError:
        raise CorruptError("its inflated content ends early") from None
    return Inflated(b"", table_size, recipe), packed[source.offset :], size


def most_inflated(raw_size: int, inner: Method) -> int:
    """Bytes that a block of this size may become for another method, with its streams inflated."""
    small = SMALL_LANGUAGE if inner.id == LANGUAGE else SMALL
    most = max(GROWTH * raw_size, min(SMALL_GROWTH * raw_size, small))
    return min(most, MAX_LANGUAGE_BLOCK if inner.id == LANGUAGE else MAX_BLOCK)


def inflate(raw: memoryview, most: int, step: Step) -> tuple[Inflated, int] | None:
    """A block with its deflate streams inflated, to ``most`` bytes at most; None if it has none worth it.

    Also how many bytes the streams took.

    What is given back rebuilds to the block: that has been tried.
    """
    from nczip import _core

    chunk_table, joined, images = chunks.join(bytes(raw))
    analyser = _core.DeflateAnalyser(joined)
    pieces: list[bytes | memoryview] = []
    entries: list[bytes] = []
    view = memoryview(joined)
    size = deflated = end = 0  # size: of the pieces; end: in the joined bytes, of the last stream
    for start, window_bits in _beginnings(joined):
        # What follows may all be left as it is.
        room = most - size - (len(joined) - end) - len(chunk_table) - ENTRY * (len(entries) + 2)
        if (
            start < end
            or room <= 0
            or not analyser.find(start, _end_of(images, start, len(joined)), room, window_bits)
        ):
            continue
        while not analyser.advance():
            step()
        stream = analyser.stream()
        if stream is None:
            continue
        consumed, inflated = stream
        trailer = _trailer_at(joined, start + consumed, inflated)
        pieces += view[end:start], inflated
        entries.append(varint(start - end) + varint(len(inflated) << 2 | trailer))
        size += start - end + len(inflated)
        end = start + consumed + len(_trailer(trailer, inflated))
        deflated += consumed
        step()
    if not entries:
        return None
    pieces.append(view[end:])
    table = chunk_table + varint(len(entries)) + b"".join(entries)
    pieces.append(table)
    made = Inflated(b"".join(pieces), len(table), analyser.finish())
    if len(made.content) > most or deflate(made, len(raw), step) != raw:
        return None
    return made, deflated


def deflate(made: Inflated, raw_size: int, step: Step) -> bytes:
    """The block that was taken apart, of ``raw_size`` bytes at most. Raises CorruptError."""
    try:
        source = BytesSource(made.content[len(made.content) - made.table_size :])
        images, count = chunks.read(source), read_varint(source)
        joined = _rebuild(source, count, made, raw_size, step)
        return chunks.part(images, joined, raw_size)
    except (TruncatedError, ValueError):
        raise CorruptError("its deflate streams cannot be rebuilt") from None


def _rebuild(table: BytesSource, count: int, made: Inflated, raw_size: int, step: Step) -> bytes:
    """The bytes that the streams were found in. Raises ValueError, CorruptError, TruncatedError."""
    from nczip import _core

    rebuilder = _core.DeflateRebuilder(made.recipe)
    content = memoryview(made.content)[: len(made.content) - made.table_size]
    joined, at = bytearray(), 0
    for _ in range(count):
        gap, (size, trailer) = read_varint(table), divmod(read_varint(table), 4)
        if gap + size > len(content) - at:
            raise ValueError("more than there is")
        joined += content[at : at + gap]
        inflated = content[at + gap : at + gap + size]
        rebuilder.begin(inflated, max(0, raw_size - len(joined)))
        while (stream := rebuilder.advance()) is None:
            step()
        joined += stream + _trailer(trailer, inflated)
        at += gap + size
        step()
    return bytes(joined + content[at:])


def _beginnings(data: bytes) -> Iterator[tuple[int, int]]:
    """Where streams may begin, and the log2 of the window that a header claims."""
    for match in _BEGINNINGS.finditer(data):
        at = match.start()
        if match.group() == ZIP_FILE:
            name, extra = (int.from_bytes(data[at + i : at + i + 2], "little") for i in (26, 28))
            if data[at + 8 : at + 10] == DEFLATED:
                yield min(at + 30 + name + extra, len(data)), 15
        elif match.group() == GZIP_MEMBER:
            yield _after_gzip_header(data, at), 15
        else:
            yield at + 2, 8 + (data[at] >> 4)


def _after_gzip_header(data: bytes, at: int) -> int:
    flags = data[at + 3] if at + 3 < len(data) else 0
    at += 10
    if flags & 4:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for _ in range((flags >> 3 & 1) + (flags >> 4 & 1)):  # name, comment
        at = data.find(b"\0", at, at + LONGEST_NAME) + 1 or len(data)
    return min(at + (flags & 2), len(data))


def _end_of(images: list[tuple[int, int]], start: int, otherwise: int) -> int:
    """Where a stream that begins somewhere has to end: with the image that it is in."""
    at = bisect.bisect(images, (start, otherwise)) - 1
    return images[at][1] if at >= 0 and start < images[at][1] else otherwise


def _trailer(kind: int, inflated: bytes | memoryview) -> bytes:
    if kind == ADLER32:
        return zlib.adler32(inflated).to_bytes(4, "big")
    if kind == CRC32:
        return zlib.crc32(inflated).to_bytes(4, "little") + len(inflated).to_bytes(4, "little")
    return b""


def _trailer_at(data: bytes, at: int, inflated: bytes) -> int:
    """Which trailer stands at an offset."""
    for kind, size in ((ADLER32, 4), (CRC32, 8)):
        if data[at : at + size] == _trailer(kind, inflated):
            return kind
    return NO_TRAILER
