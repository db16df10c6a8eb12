"""What blocks of numbers are recognised as, and what is not taken for numbers."""

from __future__ import annotations

import hashlib
import pydoc_data.topics
from pathlib import Path

import numpy as np
import pytest
from numbers_made import ARRAYS, bf16, weights

from nczip import _core, numeric
from nczip.numeric import Kind

TEXT = Path(pydoc_data.topics.__file__).read_bytes()
PROGRAM = Path(_core.__file__).read_bytes()


@pytest.mark.parametrize("dtype", ARRAYS)
@pytest.mark.parametrize("before", [0, 1, 3, 1001])
def test_numbers_after_some_bytes(dtype: str, before: int) -> None:
    width = ARRAYS[dtype].itemsize
    found = numeric.guess(hashlib.shake_256(b"header").digest(before) + ARRAYS[dtype].tobytes())
    assert found == Kind(dtype, width, before % width)


def test_numbers_of_a_type_that_has_more_bits_than_they_need() -> None:
    assert numeric.guess((bf16(weights()).astype("<u4") << 16).tobytes()) == Kind("fp32", 4, 0)


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_counts(dtype: str) -> None:
    counts = (np.abs(weights()) * 200_000).astype(dtype)
    assert numeric.guess(counts.tobytes()) == Kind(dtype, counts.itemsize, 0)


@pytest.mark.parametrize(
    "raw",
    [b"", b"a", bytes(100), TEXT, PROGRAM, hashlib.shake_256(b"").digest(1 << 16), bytes(range(256)) * 400],
    ids=["nothing", "byte", "zeros", "text", "program", "noise", "pattern"],
)
def test_what_is_no_numbers(raw: bytes) -> None:
    assert numeric.guess(raw) is None


def test_repeats_far_apart_are_seen() -> None:
    once = ARRAYS["fp32"].tobytes()
    assert numeric.Survey(once).is_sure
    assert numeric.Survey(once * 2).repeats > 0.4
    assert not numeric.Survey(once * 2).is_sure


def test_every_kind_has_a_name() -> None:
    assert {0, *numeric.UNSIGNED, *(kind + 3 for kind in numeric.FLOATS), *numeric.SIGNED} == set(
        range(len(numeric.WIDTHS))
    )
