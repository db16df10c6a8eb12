"""NCZ1, the container: bytes to structures and back. No codec here, and no decision about files.

The specification is formats/ncz1.md. The versions policy: until the first tagged release the format may
change in any way; from then on every MAJOR, every method and every arithmetic version that a release wrote
decodes for ever, MAJOR rises when a frame can no longer be read by rules that older readers know, and the
prefix that they need to say "newer" instead of "damaged" (magic, version and form, then the two layouts
below) never changes.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from nczip.errors import CorruptError, FormatError, NewerVersionError, TruncatedError

MAGIC = b"\x9cNZ"
MAJOR = 1
ARITHMETIC = 1
FULL_FORM = 15
RAW_FORM = 7  # forms 1 to 6 are the levels
LANGUAGE_FORM = 8  # the method's configuration is the beginning of the packed bytes
NAMED_FORM = 9  # so is the method itself: its number, its configuration's length, the configuration
BASED_FORM = 10  # method 7 around what a level's own form means; they begin with level and base
FOOTER_MAGIC = b"ZN\x9c" + bytes([MAJOR << 4 | FULL_FORM])
FOOTER_SIZE = 8  # u32 trailer length, then the footer magic

RAW, ZSTD, MIXTURE, LANGUAGE, PLANES, TENSOR, INFLATED, BASED, LINES = METHODS = range(9)
NEEDS_NO_CONFIG = (RAW, ZSTD, PLANES, TENSOR)
BASE_NAME = 4  # bytes: the beginning of a base's SHA-256
WRAPPERS = {INFLATED: 0, BASED: BASE_NAME, LINES: 0}  # methods around another; bytes before that one's number
INSIDE = {  # what they can be around
    INFLATED: (RAW, ZSTD, MIXTURE, LANGUAGE, PLANES, TENSOR),
    BASED: (ZSTD, MIXTURE, TENSOR),
    LINES: (MIXTURE, LANGUAGE),
}
LANGUAGE_CONFIG = 12  # bytes of configuration of method 3: the coder's, then the model's name

MAX_BLOCK = 256 << 20  # bytes of content; larger claims are refused before anything is allocated
MAX_LANGUAGE_BLOCK = 16 << 20  # of method 3, which takes hours for that
MAX_HEADER = 64 << 10  # bytes of fields in any version's frame header
LARGE = 64 << 10  # packed bytes that the core's CRC is worth loading it for
PIECE = 1 << 20  # bytes asked of a source at a time, so that a size never allocates more than is there

TAG_ARITHMETIC, TAG_METHODS, TAG_MAX_BLOCK = 1, 3, 5


@dataclass(frozen=True, slots=True)
class Method:
    """How a block is packed: a method number and its configuration."""

    id: int
    config: bytes = b""


def wrapped(number: int, own: bytes, inner: Method) -> Method:
    """A wrapper with ``own`` configuration around another method."""
    return Method(number, own + bytes([inner.id]) + inner.config)


def inner_of(method: Method) -> Method | None:
    """What a wrapper is around; None for other methods, and where its configuration is too short."""
    own = WRAPPERS.get(method.id, len(method.config))
    return Method(method.config[own], method.config[own + 1 :]) if own < len(method.config) else None


def innermost(method: Method) -> Method:
    """The method that wrappers, if any, are around."""
    inner = inner_of(method)
    return method if inner is None else innermost(inner)


def spoken(method: Method) -> Method | None:
    """The language model's method, alone or with LINES around it: such blocks can be decoded together."""
    inner = inner_of(method) if method.id == LINES else method
    return inner if inner is not None and inner.id == LANGUAGE else None


@dataclass(frozen=True, slots=True)
class BlockHead:
    """A block's header. ``crc`` covers the header's bytes before it (``head_crc``), then the packed bytes."""

    method: int  # position in the frame's table
    raw_size: int
    packed_size: int
    head_crc: int
    crc: int
    content_hash: bytes  # 8 bytes of XXH3-64, or its low 4 in a solo frame, little-endian
    length: int  # bytes of this header; a solo frame's includes the frame's

    def check_packed(self, packed: bytes | memoryview) -> None:
        """Raises CorruptError unless the packed bytes are those that were written."""
        if _crc32(packed, self.head_crc) != self.crc:
            raise CorruptError("the checksum of the packed bytes does not match")


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's header; ``solo`` is the header of the only block where the form is not FULL_FORM."""

    form: int
    methods: tuple[Method, ...]  # empty for a solo frame whose form names the method
    max_block: int
    length: int  # bytes of the header
    solo: BlockHead | None = None
    level: int = 0  # of a solo frame where the form does not say it, with a base
    base: bytes = b""  # its name


class Source(Protocol):
    """Where bytes come from: ``take`` gives exactly ``size`` bytes or raises TruncatedError."""

    @property
    def offset(self) -> int: ...
    def take(self, size: int) -> bytes: ...


class _Recorder:
    """Reads fields and keeps their bytes, because checksums cover bytes as they stood."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.seen = bytearray()

    def take(self, size: int) -> bytes:
        taken = self.source.take(size)
        self.seen += taken
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >> 64 or (byte == 0 and shift):
                    break
                return value
        raise CorruptError(f"malformed number before byte {self.source.offset}")

    def crc(self) -> int:
        return zlib.crc32(self.seen)


class BytesSource:
    """A source over bytes in memory."""

    def __init__(self, data: bytes | memoryview, offset: int = 0) -> None:
        self._data = data
        self._position = 0
        self._base = offset

    @property
    def offset(self) -> int:
        return self._base + self._position

    def take(self, size: int) -> bytes:
        taken = bytes(self._data[self._position : self._position + size])
        self._position += len(taken)
        if len(taken) < size:
            raise TruncatedError(f"a structure ends early, at byte {self.offset}")
        return taken

    def at_end(self) -> bool:
        return self._position == len(self._data)


def read_varint(source: Source) -> int:
    """The number that ``varint`` wrote. Raises CorruptError, TruncatedError."""
    return _Recorder(source).varint()


def varint(value: int) -> bytes:
    """LEB128: seven bits a byte, lowest first, never longer than needed."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _crc32(packed: bytes | memoryview, start: int) -> int:
    """As zlib.crc32, which may take longer than decoding does; the core is loaded only where that shows."""
    if len(packed) < LARGE:
        return zlib.crc32(packed, start)
    from nczip import _core

    return _core.crc32(packed, start)


# Writing


def solo_frame(
    form: int, raw_size: int, packed: bytes | memoryview, content_hash: bytes, name: bytes = b""
) -> bytes:
    """The header of a frame of one block; the packed bytes follow it. ``content_hash`` is all 8 bytes.

    ``name``: what says the method, where the form does not (``solo_name``).
    """
    head = MAGIC + bytes([MAJOR << 4 | form]) + varint(raw_size) + varint(len(name) + len(packed))
    return head + _u32(_crc32(packed, zlib.crc32(head + name))) + content_hash[:4] + name


def solo_name(form: int, method: Method, level: int = 0) -> bytes:
    """What the packed bytes of a solo frame begin with, to say the method; ``level`` matters with a base."""
    if form == LANGUAGE_FORM:
        return method.config
    if form == BASED_FORM:
        return bytes([level]) + method.config[:BASE_NAME]
    return _table_entry(method) if form == NAMED_FORM else b""


def _table_entry(method: Method) -> bytes:
    return bytes([method.id, len(method.config)]) + method.config


def full_frame(methods: Sequence[Method], max_block: int) -> bytes:
    """The header of a frame of any number of blocks."""
    table = b"".join(map(_table_entry, methods))
    fields = b""
    for tag, value in (
        (TAG_ARITHMETIC, varint(ARITHMETIC)),
        (TAG_METHODS, table),
        (TAG_MAX_BLOCK, varint(max_block)),
    ):
        fields += varint(tag) + varint(len(value)) + value
    head = MAGIC + bytes([MAJOR << 4 | FULL_FORM]) + varint(len(fields)) + fields
    return head + _u32(zlib.crc32(head))


def block_head(method: int, raw_size: int, packed: bytes | memoryview, content_hash: bytes) -> bytes:
    """The header of a block packed by the method at position ``method`` of the frame's table."""
    head = bytes([1 + method]) + varint(raw_size) + varint(len(packed))
    return head + _u32(_crc32(packed, zlib.crc32(head))) + content_hash


class Tally:
    """What a frame's trailer says, gathered block by block: by the writer, and by readers that check it."""

    def __init__(self, header_length: int) -> None:
        self.body_length = header_length  # from the frame's first byte to its trailer
        self.raw_size = 0
        self.blocks = 0
        self._entries = bytearray()

    def add(self, block_length: int, raw_size: int) -> None:
        """Counts a block of ``block_length`` bytes, header included."""
        self.body_length += block_length
        self.raw_size += raw_size
        self.blocks += 1
        self._entries += varint(block_length) + varint(raw_size)

    def trailer(self, content_hash: bytes) -> bytes:
        """The end mark, the index and the footer; ``content_hash`` is that of the frame's whole content."""
        index = b"\0" + varint(self.raw_size) + content_hash
        index += varint(self.blocks) + self._entries + varint(self.body_length)
        return index + _u32(zlib.crc32(index)) + _u32(len(index) + 4 + FOOTER_SIZE) + FOOTER_MAGIC


# Reading


def read_frame(source: Source) -> Frame:
    """Reads a frame's header, the block header included where the frame is solo.

    Raises FormatError where no frame begins, NewerVersionError for a sound frame of a newer version,
    CorruptError.
    """
    fields = _Recorder(source)
    for expected in MAGIC:
        if fields.byte() != expected:
            raise FormatError("not an nczip archive")
    major, form = divmod(fields.byte(), 16)
    if form == FULL_FORM:
        return _full_frame(fields, major)
    raw_size, packed_size = fields.varint(), fields.varint()
    head_crc = fields.crc()
    crc, content_hash = fields.u32(), fields.take(4)
    if major != MAJOR or not 1 <= form <= BASED_FORM:
        _reject_solo(source, packed_size, head_crc, crc, major, f"form {form}")
    _check_sizes(raw_size, packed_size, MAX_BLOCK)
    methods: tuple[Method, ...] = ()
    level, base = 0, b""
    if form >= LANGUAGE_FORM:
        # Packed bytes to the checksum, a part of the header to everything else.
        before = len(fields.seen)
        unknown = None
        if form == BASED_FORM:
            if packed_size < 1 + BASE_NAME:
                raise CorruptError("its header is damaged")
            level, base = fields.byte(), fields.take(BASE_NAME)
            unknown = None if 1 <= level < RAW_FORM else f"level {level}"
        else:
            methods = (_solo_method(fields, form, packed_size),)
            unknown = None if _is_known(methods[0]) else f"method {methods[0].id}"
        head_crc = zlib.crc32(fields.seen[before:], head_crc)
        packed_size -= len(fields.seen) - before
        if unknown is not None:
            _reject_solo(source, packed_size, head_crc, crc, major, unknown)
        if methods:
            _check_sizes(raw_size, packed_size, _most_content(methods[0]))
    block = BlockHead(0, raw_size, packed_size, head_crc, crc, content_hash, len(fields.seen))
    return Frame(form, methods, raw_size, len(fields.seen), block, level, base)


def _solo_method(fields: _Recorder, form: int, packed_size: int) -> Method:
    """Reads what ``solo_name`` wrote."""
    number, size = LANGUAGE, LANGUAGE_CONFIG
    if form == NAMED_FORM and packed_size >= 2:
        number, size = fields.byte(), fields.byte()
    if packed_size < size + (2 if form == NAMED_FORM else 0):
        raise CorruptError("its header is damaged")
    return Method(number, fields.take(size))


def _reject_solo(source: Source, size: int, head_crc: int, crc: int, major: int, what: str) -> NoReturn:
    """Every version's solo frames keep the layout, so the checksum tells a newer frame from a damaged one."""
    while size:
        piece = source.take(min(size, PIECE))
        head_crc = zlib.crc32(piece, head_crc)
        size -= len(piece)
    if head_crc != crc:
        raise CorruptError("its header or its packed bytes are damaged")
    _reject_version(major)
    raise NewerVersionError(f"needs a newer nczip ({what})")


def _reject_version(major: int) -> None:
    if major > MAJOR:
        raise NewerVersionError(f"needs a newer nczip (format {major}; this one reads {MAJOR})")
    if major < MAJOR:
        raise CorruptError(f"it claims format {major}, which never was")


def _full_frame(prefix: _Recorder, major: int) -> Frame:
    size = prefix.varint()
    if size > MAX_HEADER:
        raise CorruptError("its header is damaged")
    body = BytesSource(prefix.take(size))
    head_crc = prefix.crc()
    if prefix.u32() != head_crc:
        raise CorruptError("its header is damaged")
    _reject_version(major)
    known = _fields(body)
    try:
        arithmetic = _whole_varint(known[TAG_ARITHMETIC])
        methods = _method_table(known[TAG_METHODS])
        max_block = _whole_varint(known[TAG_MAX_BLOCK])
    except (KeyError, TruncatedError):
        raise CorruptError("its header lacks a field") from None
    if arithmetic != ARITHMETIC:
        raise NewerVersionError(f"needs a newer nczip (arithmetic {arithmetic}; this one knows {ARITHMETIC})")
    if not 1 <= max_block <= MAX_BLOCK:
        raise CorruptError(f"it claims blocks of {max_block} bytes; {MAX_BLOCK} are allowed")
    return Frame(FULL_FORM, methods, max_block, len(prefix.seen))


def _fields(body: BytesSource) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    last = 0
    while not body.at_end():
        reader = _Recorder(body)
        try:
            tag, size = reader.varint(), reader.varint()
            value = reader.take(size)
        except TruncatedError:
            raise CorruptError("its header is malformed") from None
        if tag <= last:
            raise CorruptError("its header is malformed")
        last = tag
        if tag in (TAG_ARITHMETIC, TAG_METHODS, TAG_MAX_BLOCK):
            fields[tag] = value
        elif tag % 2:
            raise NewerVersionError(f"needs a newer nczip (critical field {tag})")
    return fields


def _whole_varint(value: bytes) -> int:
    source = BytesSource(value)
    number = read_varint(source)
    if not source.at_end():
        raise CorruptError("its header is malformed")
    return number


def _method_table(value: bytes) -> tuple[Method, ...]:
    source = BytesSource(value)
    methods = []
    while not source.at_end():
        number, size = source.take(2)
        methods.append(Method(number, source.take(size)))
    if not methods:
        raise CorruptError("its header names no method")
    for method in methods:
        if not _is_known(method):
            raise NewerVersionError(f"needs a newer nczip (method {method.id})")
    return tuple(methods)


def _is_known(method: Method) -> bool:
    if method.id not in METHODS or (method.id in NEEDS_NO_CONFIG and method.config):
        return False
    if method.id not in WRAPPERS:
        return True
    inner = inner_of(method)
    return inner is not None and inner.id in INSIDE[method.id] and _is_known(inner)


def _most_content(method: Method) -> int:
    """Bytes of content that a block of the method may have."""
    inner = inner_of(method)
    if inner is not None:
        return _most_content(inner)
    return MAX_LANGUAGE_BLOCK if method.id == LANGUAGE else MAX_BLOCK


def read_block(source: Source, frame: Frame) -> BlockHead | None:
    """Reads the next block's header; None at the end mark, after which the rest of the trailer follows."""
    fields = _Recorder(source)
    method = fields.byte()
    if method == 0:
        return None
    if method > len(frame.methods):
        raise CorruptError("it names a method that its frame does not have")
    raw_size, packed_size = fields.varint(), fields.varint()
    _check_sizes(raw_size, packed_size, min(frame.max_block, _most_content(frame.methods[method - 1])))
    if raw_size == 0:
        raise CorruptError("it claims to be empty")
    head_crc = fields.crc()
    crc, content_hash = fields.u32(), fields.take(8)
    return BlockHead(method - 1, raw_size, packed_size, head_crc, crc, content_hash, len(fields.seen))


def _check_sizes(raw_size: int, packed_size: int, max_block: int) -> None:
    if raw_size > max_block:
        raise CorruptError(f"it claims {raw_size} bytes of content; {max_block} are allowed here")
    if packed_size > raw_size:
        raise CorruptError(f"it claims {packed_size} packed bytes for {raw_size} bytes of content")


def read_trailer(source: Source, tally: Tally) -> bytes:
    """Reads the trailer after its end mark, checks it against the blocks seen, returns the content hash."""
    fields = _Recorder(source)
    fields.varint()
    content_hash = fields.take(8)
    expected = tally.trailer(content_hash)[1:]
    matches = expected.startswith(fields.seen)
    for start in range(len(fields.seen), len(expected), PIECE):
        piece = expected[start : start + PIECE]
        matches = matches and source.take(len(piece)) == piece
    if not matches:
        raise CorruptError("the block index is damaged, or does not match the blocks")
    return content_hash


@dataclass(frozen=True, slots=True)
class Trailer:
    """A frame's index, as read from its end; nothing in it is proved by the blocks yet."""

    body_length: int
    raw_size: int
    block_lengths: array[int]
    raw_sizes: array[int]


def footer_trailer_length(footer: bytes) -> int | None:
    """The trailer's length if the 8 bytes are a footer."""
    if len(footer) != FOOTER_SIZE or footer[4:] != FOOTER_MAGIC:
        return None
    return int.from_bytes(footer[:4], "little")


def parse_trailer(data: bytes) -> Trailer:
    """Reads a whole trailer, end mark to footer; raises CorruptError if it contradicts itself."""
    index = data[: -FOOTER_SIZE - 4]
    if zlib.crc32(index) != int.from_bytes(data[-FOOTER_SIZE - 4 : -FOOTER_SIZE], "little"):
        raise CorruptError("the block index is damaged")
    source = BytesSource(index)
    fields = _Recorder(source)
    end_mark, raw_size = fields.byte(), fields.varint()
    fields.take(8)
    lengths, sizes = array("Q"), array("Q")
    for _ in range(fields.varint()):
        lengths.append(fields.varint())
        sizes.append(fields.varint())
    body_length = fields.varint()
    if end_mark or not source.at_end() or sum(sizes) != raw_size or sum(lengths) >= body_length:
        raise CorruptError("the block index contradicts itself")
    return Trailer(body_length, raw_size, lengths, sizes)
