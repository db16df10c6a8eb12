"""Archives made by hand: layouts and checksums as they should be, around sizes that need not be true."""

from __future__ import annotations

import zlib

import nczip
from nczip import blocks, container, language, levels
from nczip.container import BASED, LANGUAGE, MIXTURE, PLANES, TENSOR, Tally

CONTENT = b"".join(b"record %d, worth %d\n" % (i, i * i) for i in range(120))


def with_crc(data: bytes, packed: bytes = b"") -> bytes:
    return data + zlib.crc32(packed, zlib.crc32(data)).to_bytes(4, "little")


def solo(
    form: int, raw_size: int, packed_size: int, packed: bytes, hash_of: bytes = b"", major: int = 1
) -> bytes:
    """A solo frame whose checksums are right whatever its sizes say."""
    head = b"\x9cNZ" + bytes([major << 4 | form]) + container.varint(raw_size) + container.varint(packed_size)
    return with_crc(head, packed) + blocks.content_hash(hash_of)[:4] + packed


def planes_solo(packed: bytes, raw_size: int = 1000) -> bytes:
    """A solo frame of form 9 of method 4, whose checksums are right but for that of the content."""
    return solo(9, raw_size, 2 + len(packed), bytes([PLANES, 0]) + packed)


def tensor_solo(packed: bytes, raw_size: int = 1000) -> bytes:
    """The same of method 5."""
    return solo(9, raw_size, 2 + len(packed), bytes([TENSOR, 0]) + packed)


def referring_solo(packed: bytes, raw_size: int = 1000) -> bytes:
    """The same with a base whose name is "base"."""
    return solo(9, raw_size, 7 + len(packed), bytes([BASED, 5]) + b"base" + bytes([TENSOR]) + packed)


def header(fields: bytes, major: int = 1) -> bytes:
    return with_crc(b"\x9cNZ" + bytes([major << 4 | 15]) + container.varint(len(fields)) + fields)


def field(tag: int, value: bytes) -> bytes:
    return container.varint(tag) + container.varint(len(value)) + value


def fields(arithmetic: int = 1, table: bytes = b"\x00\x00", max_block: int = 4096) -> bytes:
    return field(1, container.varint(arithmetic)) + field(3, table) + field(5, container.varint(max_block))


def two_blocks(
    frame_head: bytes | None = None,
    tally: Tally | None = None,
    content_hash: bytes | None = None,
) -> bytes:
    """A full frame of two stored blocks of 1,000 bytes, with a header or a trailer of the attacker's."""
    frame_head = frame_head or header(fields())
    out = frame_head
    honest = Tally(len(frame_head))
    for start in (0, 1000):
        raw = CONTENT[start : start + 1000]
        head = container.block_head(0, 1000, raw, blocks.content_hash(raw))
        out += head + raw
        honest.add(len(head) + 1000, 1000)
    return out + (tally or honest).trailer(content_hash or blocks.content_hash(CONTENT[:2000]))


def tally(
    *entries: tuple[int, int], body: int | None = None, raw: int | None = None, count: int | None = None
) -> Tally:
    made = Tally(len(header(fields())))
    for length, raw_size in entries:
        made.add(length, raw_size)
    made.body_length = made.body_length if body is None else body
    made.raw_size = made.raw_size if raw is None else raw
    made.blocks = made.blocks if count is None else count
    return made


def one_block(
    method: bytes, table: bytes, raw_size: int, packed_size: int, packed: bytes, max_block: int = 4096
) -> bytes:
    """A full frame cut off after its first block, whose sizes are the attacker's."""
    head = method + container.varint(raw_size) + container.varint(packed_size)
    return header(fields(table=table, max_block=max_block)) + with_crc(head, packed) + bytes(8) + packed


ZSTD_EXABYTE = bytes([0xE0]) + (1 << 60).to_bytes(8, "little") + bytes.fromhex("010000")
ZSTD_WINDOW = bytes.fromhex("00f8010000")
ZSTD_RUN = bytes.fromhex("0000020010410300104101000041")  # a frame of runs of one byte, each from 4 bytes
BLOCK = 1017  # bytes of each block of two_blocks
GOOD = two_blocks()
INFLATED_STORED = b"\x06\x01\x00"  # the name, in a solo frame, of inflated content that is stored
STORED, SMALL_ZSTD = b"\x00\x00", b"\x01\x00"
MIXTURE_TABLE = bytes([MIXTURE, 3])
SOLO = nczip.compress(CONTENT, 5)

SPOKEN = b"".join(b"line %d: each one of the bits has a model, " % i for i in range(40))
ABSENT = b"\xab" * language.MODEL_ID  # the name of a model that nobody has


def spoken_method(
    version: int = 1, level: int = 8, table_bits: int = 21, window_bits: int = 11, model: bytes | None = None
) -> bytes:
    """A configuration of method 3, right or wrong."""
    return bytes([version, level, table_bits, window_bits]) + (
        language.find(None) if model is None else model
    )


def spoken_block(level: int, raw: bytes = SPOKEN) -> bytes:
    """The packed bytes of a block of method 3."""
    packed = language.pack(levels.default_method(level), memoryview(raw), lambda _raw, _packed: None)
    assert packed is not None
    return packed


def spoken_solo(
    config: bytes, raw_size: int = 1000, packed: bytes = b"packed", hash_of: bytes = b""
) -> bytes:
    """A solo frame of form 8 whose checksums are right."""
    return solo(8, raw_size, len(config) + len(packed), config + packed, hash_of)


def spoken_full(
    config: bytes, raw_size: int = 1000, packed: bytes = b"packed", max_block: int = 4096
) -> bytes:
    """A full frame with a method 3 of the attacker's, cut off after its first block."""
    table = bytes([LANGUAGE, len(config)]) + config
    return one_block(b"\1", table, raw_size, len(packed), packed, max_block)
