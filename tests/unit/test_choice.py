"""Which method a block of numbers goes by, and that nothing else goes by planes."""

from __future__ import annotations

import pydoc_data.topics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numbers_made import ARRAYS, integers, weights

from nczip import _core, blocks, coders, levels
from nczip.container import MIXTURE, PLANES, ZSTD, Method

TEXT = Path(pydoc_data.topics.__file__).read_bytes()[: 1 << 17]
PROGRAM = Path(_core.__file__).read_bytes()[: 1 << 17]


def quiet(raw: int, packed: int) -> None:
    pass


def pack(level: int, raw: bytes) -> blocks.Packed:
    return blocks.pack(levels.plan(level).methods, level, raw, quiet)


@pytest.mark.parametrize("level", levels.PLANES_LEVELS)
@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32", "fp64"])
def test_floats(dtype: str, level: int) -> None:
    raw = b"odd" + ARRAYS[dtype].tobytes()
    packed = pack(level, raw)
    assert packed.method == Method(PLANES)
    zstd = blocks.pack((Method(ZSTD),), 3, raw, quiet)
    assert len(packed.data) < 0.93 * len(zstd.data)


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64"])
def test_integers(dtype: str) -> None:
    raw = ARRAYS[dtype].tobytes()
    assert pack(2, raw).method == Method(PLANES)
    assert pack(4, raw[:20_000]).method.id == MIXTURE


def test_numbers_that_follow_from_each_other_go_through_a_mixture() -> None:
    wave = np.sin(np.arange(10_000) / 300).astype("<f4").tobytes()
    assert pack(4, wave).method.id == MIXTURE


@pytest.mark.parametrize("level", [1, 2, 3])
def test_numbers_that_repeat_go_to_zstd(level: int) -> None:
    assert pack(level, ARRAYS["fp32"].tobytes() * 3).method == Method(ZSTD)


def test_few_numbers_that_are_not_zero_go_to_zstd() -> None:
    sparse = np.zeros(1 << 16, "<f4")
    sparse[::1000] = weights(66)
    assert pack(2, sparse.tobytes()).method == Method(ZSTD)


@pytest.mark.parametrize("level", levels.PLANES_LEVELS)
def test_text_is_not_even_tried(level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("planes were tried")

    monkeypatch.setattr(coders, "pack_planes", never)
    assert pack(level, TEXT[: 1 << 15]).method == levels.default_method(level)


@pytest.mark.parametrize("level", levels.PLANES_LEVELS)
def test_programs_are_no_numbers(level: int) -> None:
    assert pack(level, PROGRAM[: 1 << 15]).method == levels.default_method(level)


@pytest.mark.parametrize("make", [lambda: bytes(5000), lambda: integers(3, "<i8").tobytes()])
def test_what_hardly_has_content_takes_hardly_any_bytes(make: Callable[[], bytes]) -> None:
    raw = make()
    packed = pack(1, raw)
    assert len(packed.data) <= len(blocks.pack((Method(ZSTD),), 1, raw, quiet).data)
