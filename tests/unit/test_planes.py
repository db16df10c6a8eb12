"""Method 4: the core's planes, alone and against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from numbers_made import ARRAYS

from nczip import _core, numeric

KINDS = range(len(numeric.WIDTHS))
CHUNK = 1 << 16  # elements


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


def unpacked(data: bytes, raw_size: int) -> bytes:
    decoder = _core.PlanesDecoder(data, raw_size)
    done = 0
    while done < raw_size:
        done = decoder.advance(1)
    return decoder.finish()


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
