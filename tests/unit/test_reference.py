"""The core against the slow reference of the mixture, on whole blocks: the same bytes, the same content back.

The content comes back through the range decoder of ``constriction``, so core, reference and a third coder
agree. test_reference_stages.py compares stages alone; `make golden` compares slices of the corpora.
"""

from __future__ import annotations

import hashlib

import pytest

from nczip import _core, knowledge
from nczip.reference.block_coder import decode_block, encode_block
from nczip.reference.oracle import ConstrictionDecoder

LEVELS = (4, 5, 6)
NOISE = hashlib.shake_256(b"noise").digest(140)
# The last digits of a probability would not show in the packed bytes if little followed what it codes.
TAIL = NOISE[:14]
PROSE = (
    "The Caterpillar and Alice looked at each other for some time in silence: at last the Caterpillar took "
    "the hookah out of its mouth, and addressed her in a languid, sleepy voice.\n\n\u201cWho are you?\u201d "
    "said the Caterpillar. This was not an encouraging opening.\n"
).encode()


def with_errors(content: bytes, *places: int) -> bytes:
    damaged = bytearray(content)
    for place in places:
        damaged[place] ^= 1
    return bytes(damaged)


SAMPLES = {
    "empty": b"",
    "one byte": b"\x80",
    "text": PROSE + TAIL,
    "source code": b"""#include <stdio.h>

static int sum(const int *v, int n) { /* of n values */
    int s = 0;
    for (int i = 0; i < n; i++) s += v[i];
    return s;
}

int main(int argc, char **argv) {
    const int v[] = {1, 2, 3, 0x7f};
    printf("%d\\n", sum(v, 4) && argv[argc] == 0);
    return 0;
}
"""
    + TAIL,
    # Long enough for the record length to be looked for, at 1,024 bytes, and found.
    "records": b"".join(
        b"%c%c\0\x01id" % (i, i * i % 251) + bytes([i % 3, 7 + i % 2]) * 3 + b"\xff\0" for i in range(76)
    )
    + TAIL,
    # Runs longer than what they copy, that grow, fail, shrink, are given up; a record length found at
    # 1,024 bytes, then records.
    "long repeats": b"0123456789ABCDE" * 67
    + b"".join(b"01234%c678%cABCDE" % (i, i * i) for i in range(6))
    + TAIL,
    # Runs that start again.
    "repeats, twice": b"0123456789ABCDE" * 110 + b"*" + b"0123456789ABCDE" * 35 + TAIL,
    # Matches that fail after 63, 64 and 31 bytes.
    "near repeats": PROSE[:170] + with_errors(PROSE[:170], 64, 129, 161) + TAIL,
    "random": NOISE[-120:],
    # Binary from 512 bytes on; at 1,024 bytes the rows of a bitmap are found.
    "bitmap": b"".join(NOISE[:96] + bytes([i]) for i in range(10))
    + b"".join(bytes([i, 0x10 << i % 3, 0xFF]) + NOISE[3:97] for i in range(3)),
    # Calls of a few targets.
    "x86 code": b"".join(
        b"\xe8" + (i % 3 * 100 - 8 * i - 5).to_bytes(4, "little", signed=True) + b"\x89\xc7\x50"
        for i in range(30)
    ),
}


def packed_by_core(config: bytes, content: bytes) -> bytes:
    encoder = _core.MixtureEncoder(config, content, knowledge.load())
    done = 0
    while done < len(content):
        done = encoder.advance(100)
    return encoder.finish()


def content_by_core(config: bytes, raw_size: int, packed: bytes) -> bytes:
    return _core.MixtureDecoder(config, raw_size, packed, knowledge.load()).decode(raw_size)


LONG = ("records", "repeats, twice")  # not at level 6, which is slow


@pytest.mark.parametrize(
    ("level", "name"),
    [(level, name) for level in LEVELS for name in SAMPLES if level < 6 or name not in LONG],
)
def test_core_and_reference_write_and_read_the_same(level: int, name: str) -> None:
    content = SAMPLES[name]
    config = _core.mixture_config(level)
    packed = packed_by_core(config, content)
    assert encode_block(level, config[2], content) == packed
    assert decode_block(level, config[2], len(content), ConstrictionDecoder(packed)) == content


@pytest.mark.parametrize("level", LEVELS)
def test_a_small_table_forgets_the_same(level: int) -> None:
    """With 1,024 lines contexts push each other out."""
    content = SAMPLES["text"] + SAMPLES["source code"][:150]
    packed = packed_by_core(bytes([2, level, 16]), content)
    assert encode_block(level, 16, content) == packed
    if level > 4:
        assert packed != packed_by_core(_core.mixture_config(level), content)


@pytest.mark.parametrize("level", [4, 5])
def test_damage_is_read_the_same(level: int) -> None:
    """What a decoder makes of damaged bytes is defined as well."""
    packed = bytearray(packed_by_core(bytes([2, level, 20]), SAMPLES["text"]))
    packed[-12] ^= 0x10  # near the end: the other coder gives up on what no encoder writes
    expected = content_by_core(bytes([2, level, 20]), 300, bytes(packed))
    assert decode_block(level, 20, 300, ConstrictionDecoder(bytes(packed))) == expected


def test_configurations() -> None:
    """Version, level and log2 of the most bytes in the table: what forms 4 to 6 of a solo frame mean."""
    assert [_core.mixture_config(level) for level in LEVELS] == [b"\2\4\31", b"\2\5\34", b"\2\6\36"]
