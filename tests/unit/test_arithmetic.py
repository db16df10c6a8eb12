"""The pinned functions: accurate, the same in the reference and on every path, and the same as ever."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from core_stages import PATHS, on_path

from nczip.reference import arithmetic
from nczip.reference.arithmetic import Floats


def from_bits(low: float, high: float, count: int = 4096) -> Floats:
    """Positive floats, uniform in their bits, from both ends."""
    first, last = np.array([low, high], np.float32).view(np.uint32).tolist()
    random = np.frombuffer(hashlib.shake_256(b"floats").digest(4 * count), "<u4")
    bits = first + random % (last - first + 1)
    bits[:2] = first, last
    return bits.astype(np.uint32).view(np.float32)


def signed(magnitudes: Floats) -> Floats:
    return np.concatenate([magnitudes, -magnitudes])


SMALLEST = float(np.finfo(np.float32).smallest_normal)
SAMPLES = {
    "exp2": signed(np.concatenate([from_bits(1e-30, 300), np.arange(0, 128, 0.25, np.float32)])),
    "log2": np.concatenate([from_bits(SMALLEST, 3e38), np.ldexp(np.float32(1), np.arange(-126, 128))]),
    "squash": signed(from_bits(1e-30, 300)),
    "stretch": np.concatenate([from_bits(2**-24, 0.5), np.float32(1) - from_bits(2**-24, 0.5)]),
}
SAMPLES["log2"] = np.resize(SAMPLES["log2"], 4352)  # a whole number of lanes
DIGESTS = {
    "exp2": "1bae994925b3d27b",
    "log2": "8fe134b1928de220",
    "squash": "5984e4531023418d",
    "stretch": "0711c1326176e888",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_pinned(name: str) -> None:
    """A change of any bit changes what archives mean."""
    y = getattr(arithmetic, name)(SAMPLES[name])
    assert hashlib.sha256(y.astype("<f4").tobytes()).hexdigest()[:16] == DIGESTS[name]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", SAMPLES)
def test_every_path_equals_the_reference(name: str, path: str) -> None:
    y = getattr(arithmetic, name)(SAMPLES[name])
    assert on_path(path, name, SAMPLES[name].tobytes()) == y.tobytes()


def test_exp2_is_accurate() -> None:
    x = SAMPLES["exp2"][np.abs(SAMPLES["exp2"]) <= 126]
    exact = np.exp2(x.astype(np.float64))
    assert np.max(np.abs(arithmetic.exp2(x) / exact - 1)) < 2**-22


def test_exp2_of_integers_is_exact() -> None:
    x = np.arange(-126, 127)
    assert np.array_equal(arithmetic.exp2(x), np.ldexp(np.float32(1), x))


def test_exp2_is_cut_at_its_ends() -> None:
    assert arithmetic.exp2([-127, 127, 1e30]).tolist() == [2.0**-126, 2.0**126, 2.0**126]


def test_log2_is_accurate() -> None:
    x = SAMPLES["log2"]
    assert np.max(np.abs(arithmetic.log2(x) - np.log2(x.astype(np.float64)))) < 1e-4


def test_stretch_undoes_squash() -> None:
    x = np.linspace(-12, 12, 1001, dtype=np.float32)
    assert np.max(np.abs(arithmetic.stretch(arithmetic.squash(x)) - x)) < 2e-3


def test_squash_is_never_outside_0_and_1() -> None:
    y = arithmetic.squash(SAMPLES["squash"])
    assert np.all((y >= 0) & (y <= 1))


@pytest.mark.parametrize("path", PATHS)
def test_sums_on_every_path(path: str) -> None:
    """Of numbers so different in size that any other order gives other bits."""
    terms = (SAMPLES["exp2"][:4096] * SAMPLES["squash"][4096:]).reshape(16, 16, 16)
    sums = np.frombuffer(on_path(path, "sums", terms.tobytes()), np.float32).reshape(16, 16)
    assert np.array_equal(sums, arithmetic.lane_sum(terms))
    assert not np.array_equal(sums, terms.sum(axis=-1))


@pytest.mark.parametrize("path", PATHS)
def test_square_root_on_every_path(path: str) -> None:
    x = SAMPLES["log2"]
    assert on_path(path, "square_root", x.tobytes()) == np.sqrt(x).tobytes()


def test_a_sum_in_order_takes_one_term_after_the_other() -> None:
    big = np.float32(2**24)
    assert arithmetic.sum_in_order(np.array([1, 1, -big], np.float32), big) == 0
    assert arithmetic.sum_in_order(np.array([-big, 1, 1], np.float32), big) == 2
