"""Hostile archives: what each one tries, and the error that it must end in. Also seeds for the fuzzer."""

from __future__ import annotations

from dataclasses import dataclass

from forge import (
    BLOCK,
    GOOD,
    INFLATED_STORED,
    MIXTURE_TABLE,
    SMALL_ZSTD,
    SOLO,
    STORED,
    ZSTD_EXABYTE,
    ZSTD_RUN,
    ZSTD_WINDOW,
    field,
    fields,
    header,
    one_block,
    planes_solo,
    referring_solo,
    solo,
    tally,
    tensor_solo,
    two_blocks,
)

import nczip
from nczip import container

# Name, what it tries, packed bytes of method 4 for a block of 1,000 bytes.
TWO_CODES = b"\1\0\0\0" + b"\x11\0\0\0"  # of one bit each, for the values 0 and 1
PLANES_ATTACKS = [
    ("no kind", "end before they begin", b""),
    ("no lead", "end after the kind", b"\4"),
    ("unknown kind", "have a table read past its end", b"\x0a\0" + bytes(900)),
    ("large lead", "begin with more bytes than an element has", b"\4\2" + bytes(900)),
    ("short lead", "have bytes read past the end", b"\4\1"),
    ("unknown mode", "name a mode that is not", b"\0\0\4" + bytes(900)),
    ("short plane", "store less than the plane has", b"\0\0\0" + bytes(900)),
    ("no value", "a run of nothing", b"\0\0\1"),
    ("no code", "use the last code where there is none", b"\0\0\3" + bytes(900)),
    ("half a code", "leave look-ups without an entry", b"\0\0\2\1\0\0\0\1\0\0\0" + bytes(800)),
    ("empty code", "have no codes at all", b"\0\0\2\0\0\0\0" + bytes(800)),
    ("code and a half", "have three codes of one bit", b"\0\0\2\1\0\0\0\x11\1\0\0" + bytes(800)),
    ("long code", "have codes longer than a look-up", b"\0\0\2\1\0\0\0\xf1\x0f\0\0" + bytes(800)),
    ("long streams", "have streams read past the end", b"\0\0\2" + TWO_CODES + b"\xff" * 8 + bytes(800)),
    (
        "short streams",
        "have codes read past a stream's end",
        b"\0\0\2" + TWO_CODES + b"\x1f\0" * 4 + bytes(124),
    ),
    ("streams left over", "hide bytes in a stream", b"\0\0\2" + TWO_CODES + b"\x21\0" * 4 + bytes(132)),
    ("bits left over", "hide bits in a stream", b"\0\0\2" + TWO_CODES + b"\x20\0" * 4 + b"\xff" * 128),
    ("bytes left over", "hide bytes after the planes", b"\0\0\1\0more"),
]


# The same of method 5, and what is wrong with them.
_HEAD, _ENDED = "the packed bytes are not a tensor's", "the packed bytes end before the content"
TENSOR_ATTACKS = [
    ("no head", "end before they begin", b"\0\0\0\0\0", _ENDED),
    ("unknown kind", "have a table read past its end", b"\x0f" + bytes(900), _HEAD),
    ("large phase", "begin with more bytes than a unit has", b"\x08\x14" + bytes(900), _HEAD),
    ("long row", "have four billion columns made", b"\0\0\xff\xff\xff\xff" + bytes(900), _HEAD),
    ("nothing", "have content made of no bytes", b"\x0c\0\0\1\0\0", _ENDED),
    ("ones", "have all symbols at their ends", b"\x0c\0\0\1\0\0" + b"\xff" * 900, None),
    ("zeros", "have all symbols at their beginnings", b"\x03\0\0\1\0\0" + bytes(900), None),
]


@dataclass(frozen=True)
class Attack:
    """An archive and its end. ``message`` is the whole of what the user reads."""

    name: str
    tries: str
    archive: bytes
    error: type[nczip.NczipError]
    message: str


_corrupt, _newer, _format, _cut = (
    nczip.CorruptError,
    nczip.NewerVersionError,
    nczip.FormatError,
    nczip.TruncatedError,
)
ATTACKS = [
    Attack(
        "empty file",
        "pass nothing off as an archive of nothing",
        b"",
        _format,
        "empty, so not an nczip archive",
    ),
    Attack(
        "other format",
        "make the reader guess at a zip file",
        b"PK\x03\x04" + bytes(30),
        _format,
        "not an nczip archive",
    ),
    Attack(
        "magic alone", "end where the version should be", b"\x9cNZ", _cut, "the archive is cut off at byte 3"
    ),
    Attack(
        "terabyte solo",
        "claim 1 TB of content in 18 bytes",
        solo(7, 1 << 40, 1, b"x"),
        _corrupt,
        "frame at byte 0: it claims 1099511627776 bytes of content; 268435456 are allowed here",
    ),
    Attack(
        "terabyte packed",
        "have 1 TB allocated to read into",
        solo(5, 1 << 28, 1 << 40, b"x"),
        _corrupt,
        "frame at byte 0: it claims 1099511627776 packed bytes for 268435456 bytes of content",
    ),
    Attack(
        "quarter gigabyte packed",
        "have the largest packed size that is allowed reserved, and send one byte",
        solo(7, 1 << 28, 1 << 28, b"x"),
        _cut,
        "the archive is cut off at byte 23",
    ),
    Attack(
        "quarter gigabyte of content",
        "have the largest block decoded from nothing, with a checksum that is right",
        solo(1, 1 << 28, 3, b"\x00\x00\x00"),
        _corrupt,
        "block at byte 0: the content does not match its checksum",
    ),
    Attack(
        "packed above raw",
        "make a block grow",
        solo(7, 1, 2, b"ab"),
        _corrupt,
        "frame at byte 0: it claims 2 packed bytes for 1 bytes of content",
    ),
    Attack(
        "stored sizes differ",
        "store 3 bytes and claim 4",
        solo(7, 4, 3, b"abc"),
        _corrupt,
        "block at byte 0: the content does not match its checksum",
    ),
    Attack(
        "wrong content",
        "have right packed bytes decode to other content",
        solo(7, 3, 3, b"abc", b"abd"),
        _corrupt,
        "block at byte 0: the content does not match its checksum",
    ),
    Attack(
        "empty content, wrong hash",
        "have nothing pass unchecked",
        solo(7, 0, 0, b"", b"x"),
        _corrupt,
        "block at byte 0: the content does not match its checksum",
    ),
    Attack(
        "empty mixture",
        "start a model for no content",
        solo(5, 0, 0, b"", b"x"),
        _corrupt,
        "block at byte 0: the content does not match its checksum",
    ),
    *(
        Attack(
            f"long after the end at level {level}",
            "have a mixture go on after packed bytes that have ended",
            solo(level, 1 << 18, len(packed), packed),
            _corrupt,
            "block at byte 0: the packed bytes end before the content",
        )
        for level, packed in {4: b"and that was all", 5: b"no more", 6: b"the end"}.items()
    ),
    Attack(
        "long varint",
        "spell a size with a needless byte",
        b"\x9cNZ\x17\x81\x00\x01" + bytes(9),
        _corrupt,
        "frame at byte 0: malformed number before byte 6",
    ),
    Attack(
        "endless varint",
        "have a size that never ends",
        b"\x9cNZ\x17" + b"\xff" * 40,
        _corrupt,
        "frame at byte 0: malformed number before byte 14",
    ),
    Attack(
        "newer solo",
        "a sound frame of format 2",
        solo(5, 3, 3, b"abc", major=2),
        _newer,
        "frame at byte 0: needs a newer nczip (format 2; this one reads 1)",
    ),
    Attack(
        "newer solo, damaged",
        "pass damage off as the future",
        solo(5, 3, 3, b"abc", major=2)[:-1] + b"d",
        _corrupt,
        "frame at byte 0: its header or its packed bytes are damaged",
    ),
    Attack(
        "newer solo, endless",
        "have a terabyte of the future read",
        solo(5, 1, 1 << 40, b"x", major=2),
        _cut,
        "the archive is cut off at byte 20",
    ),
    Attack(
        "reserved form",
        "a form that has no meaning yet",
        solo(11, 3, 3, b"abc"),
        _newer,
        "frame at byte 0: needs a newer nczip (form 11)",
    ),
    Attack(
        "unknown method, named",
        "a method of the future in a solo frame",
        solo(9, 3, 3, b"\xee\0c"),
        _newer,
        "frame at byte 0: needs a newer nczip (method 238)",
    ),
    Attack(
        "longer name than packed bytes",
        "have a configuration read past the frame's end",
        solo(9, 9, 9, b"\2\xffabcdefg"),
        _corrupt,
        "frame at byte 0: its header is damaged",
    ),
    Attack(
        "inflated to an exabyte",
        "have memory reserved for what deflate streams inflate to",
        solo(9, 900, 17, INFLATED_STORED + container.varint(1 << 60) + b"\0\0abc"),
        _corrupt,
        "block at byte 0: it claims to inflate to 1152921504606846976 bytes; 230400 are allowed here",
    ),
    Attack(
        "streams that are not there",
        "have a stream rebuilt from bytes past the content's end",
        solo(9, 900, 14, INFLATED_STORED + b"\x08\5\0abc\0\1\0\xff\x7f"),
        _corrupt,
        "block at byte 0: its deflate streams cannot be rebuilt",
    ),
    Attack(
        "a picture of an exabyte",
        "have chunks made without end",
        solo(9, 900, 23, INFLATED_STORED + b"\x11\x0e\0abc\1\0" + container.varint(1 << 56) + b"\0\0\0"),
        _corrupt,
        "block at byte 0: its images claim to be more than there is",
    ),
    Attack(
        "inflated and inflated again",
        "need more memory with every layer",
        solo(9, 900, 8, b"\6\3\6\6\0abc"),
        _newer,
        "frame at byte 0: needs a newer nczip (method 6)",
    ),
    Attack(
        "too large a block, named",
        "a language model's block of 256 MiB",
        solo(9, 1 << 28, 14, b"\3\x0c" + bytes(12)),
        _corrupt,
        "frame at byte 0: it claims 268435456 bytes of content; 16777216 are allowed here",
    ),
    Attack(
        "format 0",
        "a version before the first",
        solo(7, 3, 3, b"abc", b"abc", major=0),
        _corrupt,
        "frame at byte 0: it claims format 0, which never was",
    ),
    Attack(
        "newer full",
        "a sound header of format 3",
        header(b"whatever", 3),
        _newer,
        "frame at byte 0: needs a newer nczip (format 3; this one reads 1)",
    ),
    Attack(
        "newer full, damaged",
        "pass damage off as the future",
        header(b"whatever", 3)[:-1] + b"?",
        _corrupt,
        "frame at byte 0: its header is damaged",
    ),
    Attack(
        "critical field",
        "a field that must be understood",
        header(fields() + field(9, b"")),
        _newer,
        "frame at byte 0: needs a newer nczip (critical field 9)",
    ),
    Attack(
        "newer arithmetic",
        "other arithmetic, whose numbers would be wrong",
        header(fields(2)),
        _newer,
        "frame at byte 0: needs a newer nczip (arithmetic 2; this one knows 1)",
    ),
    Attack(
        "newer method",
        "a method that does not exist yet",
        header(fields(table=b"\x07\x00")),
        _newer,
        "frame at byte 0: needs a newer nczip (method 7)",
    ),
    Attack(
        "newer mixture",
        "a configuration that does not exist yet",
        one_block(b"\1", MIXTURE_TABLE + b"\xff\xff\xff", 5, 1, b"x"),
        _newer,
        "made by a mixture version that this nczip does not know",
    ),
    Attack(
        "gigabyte header",
        "have 1 GB of header reserved",
        b"\x9cNZ\x1f" + container.varint(1 << 30),
        _corrupt,
        "frame at byte 0: its header is damaged",
    ),
    Attack(
        "no methods",
        "a method table without methods",
        header(fields(table=b"")),
        _corrupt,
        "frame at byte 0: its header names no method",
    ),
    Attack(
        "terabyte blocks",
        "allow blocks of 1 TB",
        header(fields(max_block=1 << 40)),
        _corrupt,
        "frame at byte 0: it claims blocks of 1099511627776 bytes; 268435456 are allowed",
    ),
    Attack(
        "fields out of order",
        "say a field twice",
        header(fields() + field(5, b"\x01")),
        _corrupt,
        "frame at byte 0: its header is malformed",
    ),
    Attack(
        "no such method",
        "name a method past the table's end",
        one_block(b"\2", STORED, 1, 1, b"x"),
        _corrupt,
        "block at byte 20: it names a method that its frame does not have",
    ),
    Attack(
        "no content",
        "blocks without content, which would never end",
        one_block(b"\1", STORED, 0, 0, b""),
        _corrupt,
        "block at byte 20: it claims to be empty",
    ),
    Attack(
        "block above its frame's limit",
        "more content than the header allowed, after memory was checked",
        one_block(b"\1", STORED, 4097, 1, b"x"),
        _corrupt,
        "block at byte 20: it claims 4097 bytes of content; 4096 are allowed here",
    ),
    Attack(
        "zstd exabyte",
        "a zstd frame that claims 2^60 bytes, for decoders that allocate what it says",
        one_block(b"\1", SMALL_ZSTD, 100, len(ZSTD_EXABYTE), ZSTD_EXABYTE),
        _corrupt,
        "block at byte 20: the packed bytes are not a zstd frame that fits the block",
    ),
    Attack(
        "zstd window",
        "a zstd frame that wants a window of 2 TB",
        one_block(b"\1", SMALL_ZSTD, 100, len(ZSTD_WINDOW), ZSTD_WINDOW),
        _corrupt,
        "block at byte 20: the packed bytes are not a zstd frame that fits the block",
    ),
    Attack(
        "zstd bomb",
        "a zstd frame that gives more than the block's header says",
        one_block(b"\1", SMALL_ZSTD, 1000, len(ZSTD_RUN), ZSTD_RUN),
        _corrupt,
        "block at byte 20: the packed bytes are not a zstd frame that fits the block",
    ),
    Attack(
        "no trailer",
        "end after a whole block",
        GOOD[: 20 + BLOCK],
        _cut,
        "the archive is cut off at byte 1037",
    ),
    Attack(
        "end mark alone",
        "end after the end mark",
        GOOD[: 21 + 2 * BLOCK],
        _cut,
        "the archive is cut off at byte 2055",
    ),
    Attack(
        "index of other lengths",
        "send random access into the middle of a block",
        two_blocks(tally=tally((BLOCK - 10, 1000), (BLOCK + 10, 1000))),
        _corrupt,
        "index at byte 2054: the block index is damaged, or does not match the blocks",
    ),
    Attack(
        "index of other sizes",
        "have random access count content wrongly",
        two_blocks(tally=tally((BLOCK, 900), (BLOCK, 1100))),
        _corrupt,
        "index at byte 2054: the block index is damaged, or does not match the blocks",
    ),
    Attack(
        "index that leaves out a block",
        "hide a block from random access",
        two_blocks(tally=tally((BLOCK, 1000), body=20 + 2 * BLOCK)),
        _corrupt,
        "index at byte 2054: the block index is damaged, or does not match the blocks",
    ),
    Attack(
        "index of too many blocks",
        "claim 2^60 blocks",
        two_blocks(tally=tally((BLOCK, 1000), (BLOCK, 1000), count=1 << 60)),
        _corrupt,
        "index at byte 2054: the block index is damaged, or does not match the blocks",
    ),
    Attack(
        "index of too much content",
        "claim 2^60 bytes of content in all",
        two_blocks(tally=tally((BLOCK, 1000), (BLOCK, 1000), raw=1 << 60)),
        _corrupt,
        "index at byte 2054: the block index is damaged, or does not match the blocks",
    ),
    Attack(
        "index of another body",
        "send the search for the frame's first byte elsewhere",
        two_blocks(tally=tally((BLOCK, 1000), (BLOCK, 1000), body=1 << 60)),
        _corrupt,
        "index at byte 2054: the block index is damaged, or does not match the blocks",
    ),
    Attack(
        "wrong total",
        "blocks that are right, in a whole that is not",
        two_blocks(content_hash=bytes(8)),
        _corrupt,
        "the content does not match the checksum of its whole frame",
    ),
    Attack(
        "blocks exchanged",
        "the same blocks in another order, with an index to match",
        GOOD[:20] + GOOD[20 + BLOCK : 20 + 2 * BLOCK] + GOOD[20 : 20 + BLOCK] + GOOD[20 + 2 * BLOCK :],
        _corrupt,
        "the content does not match the checksum of its whole frame",
    ),
    Attack(
        "no room for a base",
        "name half a base",
        solo(10, 20, 3, b"\5ab"),
        _corrupt,
        "frame at byte 0: its header is damaged",
    ),
    Attack(
        "level of a base",
        "follow a base at a level that no form has",
        solo(10, 20, 5, b"\7base"),
        _newer,
        "frame at byte 0: needs a newer nczip (level 7)",
    ),
    Attack(
        "a base of nobody",
        "have something decoded without what it follows",
        solo(10, 20, 9, b"\5baseABCD"),
        nczip.MissingBaseError,
        "needs the base whose SHA-256 begins with 62617365; give it with --base",
    ),
    Attack(
        "a reference to nobody",
        "have numbers decoded without those that they are near",
        referring_solo(b"\xff" * 8 + b"\2" + bytes(900)),
        nczip.MissingBaseError,
        "needs the base whose SHA-256 begins with 62617365; give it with --base",
    ),
    Attack(
        "planes within a base",
        "wrap a method that knows no base",
        solo(9, 1000, 7, b"\7\5base\4"),
        _newer,
        "frame at byte 0: needs a newer nczip (method 7)",
    ),
    Attack(
        "a base within a base",
        "wrap a method until the stack ends",
        one_block(b"\1", b"\7\xff" + b"base\7" * 51, 20, 4, b"ABCD"),
        _newer,
        "frame at byte 0: needs a newer nczip (method 7)",
    ),
    Attack(
        "footer of another length",
        "point the footer at the frame's header",
        GOOD[:-8] + (2000).to_bytes(4, "little") + GOOD[-4:],
        _corrupt,
        "index at byte 2054: the block index is damaged, or does not match the blocks",
    ),
    Attack(
        "footer magic",
        "spoil the last byte",
        GOOD[:-1] + b"\x2f",
        _corrupt,
        "index at byte 2054: the block index is damaged, or does not match the blocks",
    ),
    *(
        Attack(
            f"planes, {name}",
            tries,
            planes_solo(packed),
            _corrupt,
            "block at byte 0: the packed bytes are not planes that fit the block",
        )
        for name, tries, packed in PLANES_ATTACKS
    ),
    Attack(
        "planes of nothing",
        "claim the largest block, of which a plane or two are there",
        planes_solo(b"\0\0" + b"\1\0" * 9, 1 << 28),
        _corrupt,
        "block at byte 0: the packed bytes are not planes that fit the block",
    ),
    *(
        Attack(
            f"tensor, {name}",
            tries,
            tensor_solo(packed),
            _corrupt,
            f"block at byte 0: {message or 'the content does not match its checksum'}",
        )
        for name, tries, packed, message in TENSOR_ATTACKS
    ),
    Attack(
        "tensor of nothing",
        "claim the largest block, with the longest rows",
        tensor_solo(b"\2\0\0\0\x10\0\x7f", 1 << 28),
        _corrupt,
        "block at byte 0: the packed bytes end before the content",
    ),
    Attack(
        "configured planes",
        "give a method a configuration that it does not have",
        solo(9, 1000, 3, b"\4\1x"),
        _newer,
        "frame at byte 0: needs a newer nczip (method 4)",
    ),
    Attack(
        "trailing garbage",
        "follow an archive with something else",
        GOOD + b"garbage",
        _corrupt,
        "bytes that are no archive follow its end, from byte 2088",
    ),
    Attack(
        "trailing zero",
        "follow an archive with padding",
        SOLO + b"\0",
        _corrupt,
        f"bytes that are no archive follow its end, from byte {len(SOLO)}",
    ),
    Attack(
        "trailing half frame",
        "follow an archive with the start of another",
        GOOD + SOLO[:20],
        _cut,
        "the archive is cut off at byte 2108",
    ),
    Attack(
        "damaged second frame",
        "hide damage behind a good frame",
        GOOD + SOLO[:-1] + bytes([SOLO[-1] ^ 1]),
        _corrupt,
        "block at byte 2088: the checksum of the packed bytes does not match",
    ),
]
