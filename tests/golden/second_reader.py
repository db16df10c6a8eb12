"""A decoder of NCZ1 written from formats/ncz1.md alone: no code of nczip, no hurry. Stored and zstd blocks.

python tests/golden/second_reader.py [BASE]... < ARCHIVE > CONTENT
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import xxhash
import zstandard


class RefusedError(Exception):
    """The archive breaks a rule of the specification; the message says which."""


class PredictedError(Exception):
    """The archive has a block of a method that another page specifies."""


def crc32(data: bytes) -> int:
    """Bit by bit, from the polynomial."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def xxh3(content: bytes) -> int:
    return int(xxhash.xxh3_64_intdigest(content, seed=0))


def require(rule: bool, broken: str) -> None:
    if not rule:
        raise RefusedError(broken)


METHODS = range(9)
# Methods around another: bytes of configuration before that one's number, and what it can be.
WRAPPERS = {6: (0, (0, 1, 2, 3, 4, 5)), 7: (4, (1, 2, 5)), 8: (0, (2, 3))}
NO_CONFIGURATION = (0, 1, 4, 5)


class Bytes:
    """A position in the archive."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        require(self.at + size <= len(self.data), "cut off")
        self.at += size
        return self.data[self.at - size : self.at]

    def u(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def varint(self) -> int:
        digits = []
        while True:
            digits.append(self.u(1))
            require(len(digits) <= 10, "varint too long")
            if digits[-1] < 128:
                break
        require(len(digits) == 1 or digits[-1] != 0, "varint not minimal")
        value = sum((digit % 128) * 128**place for place, digit in enumerate(digits))
        require(value < 2**64, "varint too large")
        return value


class MissingError(Exception):
    """A block follows a base that is not there."""


BASES: dict[bytes, bytes] = {}  # by their names


def name_of(base: bytes) -> bytes:
    return hashlib.sha256(base).digest()[:4]


def unpack(method: int, packed: bytes, raw_size: int, configuration: bytes = b"") -> bytes:
    require(len(packed) <= raw_size, "packed size above raw size")
    base = None
    if method == 7:
        if configuration[:4] not in BASES:
            raise MissingError
        base = zstandard.ZstdCompressionDict(
            BASES[configuration[:4]][-(2**28) :], dict_type=zstandard.DICT_TYPE_RAWCONTENT
        )
        method = configuration[4]
    if method in (2, 3, 4, 5, 6, 8):
        raise PredictedError
    if method == 0:
        require(len(packed) == raw_size, "stored sizes differ")
        return packed
    window = max(1024, 1 << (raw_size - 1).bit_length())
    decoder = zstandard.ZstdDecompressor(
        dict_data=base, format=zstandard.FORMAT_ZSTD1_MAGICLESS, max_window_size=window
    )
    with decoder.stream_reader(packed) as reader:
        return bytes(reader.read(raw_size + 1))


def known(configuration: bytes) -> None:
    """Of method 3: four bytes of the coder's, then the model's name."""
    require(len(configuration) == 12, "newer: length of a configuration")
    version, level, table_bits, window_bits = configuration[:4]
    require(version == 1 and 7 <= level <= 9, "newer: configuration")
    require(16 <= table_bits <= 26 and 6 <= window_bits <= 13, "newer: configuration")


def named(method: int, configuration: bytes) -> None:
    """What a table of methods or a frame of form 9 may say; of wrappers also what they are around."""
    require(method in METHODS, "newer: method")
    require(method not in NO_CONFIGURATION or not configuration, "newer: configuration")
    if method in WRAPPERS:
        own, inside = WRAPPERS[method]
        require(len(configuration) > own and configuration[own] in inside, "newer: inner method")
        named(configuration[own], configuration[own + 1 :])


def innermost(method: int, configuration: bytes) -> int:
    while method in WRAPPERS:
        own, _ = WRAPPERS[method]
        method, configuration = configuration[own], configuration[own + 1 :]
    if method == 3:
        known(configuration)
    return method


def most_content(method: int, configuration: bytes) -> int:
    """Bytes of content in a block, by the innermost method; the configuration of method 3 is checked."""
    return 2**24 if innermost(method, configuration) == 3 else 2**28


def solo(source: Bytes, start: int, form: int) -> bytes:
    raw_size, packed_size = source.varint(), source.varint()
    covered = source.data[start : source.at]
    check, content_hash = source.u(4), source.u(4)
    packed = source.take(packed_size)
    require(check == crc32(covered + packed), "check of a solo frame")
    require(1 <= form <= 10, "newer: form")
    require(len(packed) <= raw_size, "packed size above raw size")
    method = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 0, 8: 3, 9: -1, 10: 7}[form]
    configuration = b""
    if form == 8:
        require(len(packed) >= 12, "no configuration")
        configuration, packed = packed[:12], packed[12:]
    if form == 9:
        require(len(packed) >= 2, "no method")
        method, length = packed[0], packed[1]
        require(len(packed) >= 2 + length, "no configuration")
        configuration, packed = packed[2 : 2 + length], packed[2 + length :]
        named(method, configuration)
    if form == 10:
        require(len(packed) >= 5, "no level, or no name")
        require(1 <= packed[0] <= 6, "newer: level")
        method = 7
        configuration, packed = packed[1:5] + bytes([1 if packed[0] < 4 else 2]), packed[5:]
    require(raw_size <= most_content(method, configuration), "raw size above the limit")
    content = unpack(method, packed, raw_size, configuration)
    require(len(content) == raw_size, "raw size")
    require(content_hash == xxh3(content) % 2**32, "content hash of a solo frame")
    return content


def header(source: Bytes, start: int, version: int) -> tuple[list[tuple[int, bytes]], int]:
    """The methods, and the most content of a block."""
    length = source.varint()
    require(length <= 65536, "header too long")
    fields = Bytes(source.take(length))
    covered = source.data[start : source.at]
    require(source.u(4) == crc32(covered), "check of a header")
    require(version == 1, "newer: version")
    values: dict[int, Bytes] = {}
    last = 0
    while fields.at < length:
        tag = fields.varint()
        require(tag > last, "tags do not ascend")
        last = tag
        values[tag] = Bytes(fields.take(fields.varint()))
        require(tag % 2 == 0 or tag in (1, 3, 5), "newer: tag")
    require({1, 3, 5} <= set(values), "field missing")
    require(values[1].varint() == 1, "newer: arithmetic")
    methods = []
    while values[3].at < len(values[3].data):
        method = values[3].u(1)
        methods.append((method, values[3].take(values[3].u(1))))
        named(*methods[-1])
    most = values[5].varint()
    require(1 <= most <= 2**28 and bool(methods), "malformed header")
    return methods, most


def full(source: Bytes, start: int, version: int) -> bytes:
    methods, most = header(source, start, version)
    content = b""
    index = []
    while True:
        block = source.at
        number = source.u(1)
        if number == 0:
            break
        require(number <= len(methods), "method not in the table")
        raw_size, packed_size = source.varint(), source.varint()
        method, configuration = methods[number - 1]
        largest = min(most, most_content(method, configuration))
        require(1 <= raw_size <= largest, "raw size of a block")
        covered = source.data[block : source.at]
        check, content_hash = source.u(4), source.u(8)
        packed = source.take(packed_size)
        require(check == crc32(covered + packed), "check of a block")
        raw = unpack(method, packed, raw_size, configuration)
        require(len(raw) == raw_size and content_hash == xxh3(raw), "content hash of a block")
        content += raw
        index.append((source.at - block, raw_size))
    end_mark = source.at - 1
    require(source.varint() == len(content), "raw size of the frame")
    require(source.u(8) == xxh3(content), "content hash of the frame")
    require(source.varint() == len(index), "block count")
    for entry in index:
        require((source.varint(), source.varint()) == entry, "index entry")
    require(source.varint() == end_mark - start, "body length")
    covered = source.data[end_mark : source.at]
    require(source.u(4) == crc32(covered), "check of the index")
    require(source.u(4) == source.at + 4 - end_mark, "trailer length")
    require(source.take(4) == b"\x5a\x4e\x9c" + source.data[start + 3 : start + 4], "footer magic")
    return content


def decode(archive: bytes) -> bytes:
    """The content; RefusedError if a rule is broken, PredictedError if it has a block of another page."""
    source = Bytes(archive)
    content = b""
    while source.at < len(archive) or (not content and source.at == 0):
        start = source.at
        require(source.take(3) == b"\x9c\x4e\x5a", "magic")
        version, form = divmod(source.u(1), 16)
        if form == 15:
            content += full(source, start, version)
        else:
            frame = solo(source, start, form)
            require(version == 1, "newer: version")
            content += frame
    return content


if __name__ == "__main__":
    BASES |= {name_of(base): base for base in (Path(word).read_bytes() for word in sys.argv[1:])}
    sys.stdout.buffer.write(decode(sys.stdin.buffer.read()))
