"""Method 4: the core's planes, alone and against the reference."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numbers_made import ARRAYS

from nczip import _core, numeric
from nczip.reference import planes as reference

KINDS = range(len(numeric.WIDTHS))
CHUNK = 1 << 16  # elements


def noise(size: int) -> bytes:
    return hashlib.shake_256(b"planes").digest(size)


def packed(raw: bytes, kind: int, lead: int) -> bytes:
    encoder = _core.PlanesEncoder(raw, kind, lead)
    assert encoder.advance(len(raw) + 1) == len(raw)
    assert encoder.packed_size == len(encoder.finish())
    return again(raw, kind, lead)


def again(raw: bytes, kind: int, lead: int, step: int = 1) -> bytes:
    """The same, chunk by chunk."""
    encoder = _core.PlanesEncoder(raw, kind, lead)
    done = 0
    while done < len(raw):
        done = encoder.advance(step)
    return encoder.finish()


def unpacked(data: bytes | bytearray, raw_size: int) -> bytes:
    raw = bytearray(raw_size)
    decoder = _core.PlanesDecoder(data, raw_size)
    done = 0
    while done < raw_size:
        done = decoder.advance(raw, 1)
    return bytes(raw)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ARRAYS)
def test_round_trip(kind: int, dtype: str) -> None:
    raw = ARRAYS[dtype].tobytes()
    for lead in range(numeric.WIDTHS[kind]):
        assert unpacked(packed(raw, kind, lead), len(raw)) == raw


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_around_a_chunk_and_an_element(kind: int) -> None:
    width = numeric.WIDTHS[kind]
    long = np.resize(ARRAYS["bf16"], CHUNK * width).tobytes() + bytes(range(20))
    chunk = CHUNK * width
    for size in (*range(1, 40), chunk - 1, chunk, chunk + 1, chunk + width, chunk + 2 * width + 1):
        lead = min(size, width - 1)
        assert unpacked(packed(long[:size], kind, lead), size) == long[:size]


@pytest.mark.parametrize(("kind", "lead"), [(10, 0), (255, 0), (0, 1), (4, 2), (6, 8)])
def test_kinds_and_phases_that_do_not_exist(kind: int, lead: int) -> None:
    with pytest.raises(ValueError, match="no such"):
        _core.PlanesEncoder(bytes(100), kind, lead)


def test_a_block_shorter_than_its_phase() -> None:
    with pytest.raises(ValueError, match="no such phase"):
        _core.PlanesEncoder(b"ab", 6, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_packs_and_unpacks_the_same(kind: int) -> None:
    width = numeric.WIDTHS[kind]
    zeros, skewed = bytes(300 * width), b"aaaaaaaab" * 40 * width
    for raw in (*(ARRAYS[dtype].tobytes()[: 900 * width] for dtype in ARRAYS), zeros, skewed, b"", b"x"):
        for lead in {0, min(width - 1, len(raw))}:
            data = packed(raw, kind, lead)
            assert reference.pack(raw, kind, lead) == data
            assert reference.unpack(data, len(raw)) == raw


def test_the_reference_in_several_chunks() -> None:
    """Of codes that are used again, codes that must be shortened, planes too even for a code, and a run."""
    fibonacci = [1, 1]
    while len(fibonacci) < 22:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    deep = np.repeat(np.arange(22, dtype="u1"), fibonacci)  # its best code has 21 bits
    order = np.argsort(np.resize(ARRAYS["int16"], len(deep)), kind="stable")
    high = np.resize(deep[order], 2 * CHUNK + 999)
    for low in (np.resize(ARRAYS["fp8_e4m3"], len(high)), np.frombuffer(noise(len(high)), "u1"), 0 * high):
        raw = np.stack([low, high], axis=1).tobytes()
        data = packed(raw, 1, 0)
        assert reference.pack(raw, 1, 0) == data
        assert reference.unpack(data, len(raw)) == raw
        assert unpacked(data, len(raw)) == raw


def test_damage_is_found_where_the_reference_finds_it() -> None:
    raw = ARRAYS["bf16"].tobytes()[:3001]
    data = packed(raw, 4, 1)
    damaged = [data[:i] for i in range(len(data))] + [data + b"\0"]
    for bit in range(0, 8 * len(data), 7):
        damaged.append(bytearray(data))
        damaged[-1][bit // 8] ^= 1 << bit % 8
    refused = 0
    for archive in damaged:
        try:
            expected = reference.unpack(bytes(archive), len(raw))
        except reference.DamagedError:
            refused += 1
            with pytest.raises(ValueError, match="not planes that fit the block"):
                unpacked(archive, len(raw))
        else:
            assert unpacked(archive, len(raw)) == expected
    assert refused > len(data)
