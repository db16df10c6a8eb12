"""Numbers in bytes: what kind of elements a block consists of, judged by samples of its content."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from nczip import _core
from nczip.levels import ZSTD_LEVELS

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Kinds of planes (formats/planes.md): bytes as they are, then wider ones as floats, then as signed integers.
WIDTHS = (1, 2, 4, 8, 2, 4, 8, 2, 4, 8)
UNSIGNED = {1: "uint16", 2: "uint32", 3: "uint64"}
FLOATS = {1: "fp16", 2: "fp32", 3: "fp64"}  # turned they are kinds 4 to 6
SIGNED = {7: "int16", 8: "int32", 9: "int64"}

GAIN = 0.985  # of a block, above which planes are not worth it
FLOATS_GAIN = 0.97  # of what zstd makes of samples: of memoryless numbers it makes no more in a whole block
LEAST = 4096  # bytes: of less samples tell too little, and to try both is quick
DOUBT = 1.15  # of what zstd makes of samples: planes may still turn out smaller
OTHERS_GAIN = 0.85  # zstd finds more in a whole block than in samples of records, text or programs
REPEATS = 0.02  # of sampled places, above which zstd may find what samples do not show
EXPONENTS = range(0x30, 0x44)  # highest bytes of most floats, but binary16, that are neither tiny nor huge
MOST = 0.9  # of a sample
MANTISSA_BITS = 2.5  # of three mantissa bits, which are spread evenly; of three exponent bits far less


@dataclass(frozen=True, slots=True)
class Kind:
    """The elements of a block: little-endian, ``width`` bytes each, the first at byte ``phase``.

    ``dtype`` is one of bf16, fp16, fp32, fp64, fp8_e4m3, fp8_e5m2, int8, int16, int32, int64, and uint16,
    uint32, uint64 where that says more of the bytes.
    """

    dtype: str
    width: int
    phase: int


class Survey:
    """What samples of a block tell. ``planes`` and ``zstd`` are the shares of the block that it may take."""

    def __init__(self, raw: Buffer) -> None:
        self._raw = raw
        self.kind, self.phase, bits, self.repeats, self.smooth = _core.planes_survey(raw)
        self.planes = bits / 8

    @cached_property
    def zstd(self) -> float:
        """By zstd's fastest level, on the samples one after the other."""
        import zstandard

        sample = _core.planes_samples(self._raw)
        return len(zstandard.ZstdCompressor(level=1).compress(sample)) / max(1, len(sample))

    @cached_property
    def is_float(self) -> bool:
        """Whether they are floats, some of which make as small planes without a turn."""
        if self.kind not in UNSIGNED or WIDTHS[self.kind] == 2:
            return self.kind - 3 in FLOATS
        return _like_floats(_core.planes_highest(self._raw, self.kind, self.phase))

    @property
    def gains(self) -> bool:
        """Whether planes may be smaller than both the block and what zstd makes of it."""
        return self.planes < GAIN and self.planes < self.zstd

    @property
    def is_sure(self) -> bool:
        """Whether nothing speaks for trying zstd as well."""
        share = FLOATS_GAIN if self.is_float else OTHERS_GAIN
        if memoryview(self._raw).nbytes < LEAST:
            return False
        return self.gains and self.repeats < REPEATS and self.planes < share * self.zstd

    def suits(self, level: int) -> bool:
        """Whether planes are worth a try at a level that has them.

        Level 4 has a mixture, which finds more in anything but floats that are independent of each other.
        """
        if level in ZSTD_LEVELS:
            return self.planes < GAIN and self.planes < DOUBT * self.zstd
        return self.is_float and self.is_sure and not self.smooth


def guess(raw: Buffer) -> Kind | None:
    """What the block's elements are, or None if it does not look like numbers.

    Takes a fraction of a millisecond, whatever the block's size but for a look at every eighth byte.
    """
    survey = Survey(raw)
    if not survey.gains:
        return None
    dtype = _dtype(raw, survey.kind, survey.phase)
    return None if dtype is None else Kind(dtype, WIDTHS[survey.kind], survey.phase)


def _dtype(raw: Buffer, kind: int, phase: int) -> str | None:
    if kind == 0:
        return _of_one_byte(_core.planes_highest(raw, kind, phase))
    if kind in SIGNED:
        return SIGNED[kind]
    plain = (kind - 1) % 3 + 1
    highest = _core.planes_highest(raw, plain, phase)
    like_floats = _like_floats(highest)
    if plain > 1:
        return (FLOATS if like_floats else UNSIGNED)[plain]
    turned = _core.planes_highest(raw, plain + 3, phase)
    if like_floats and _entropy(turned) - _entropy(_sums(turned, 8)) < MANTISSA_BITS:
        return "bf16"
    negative = sum(highest[0x80:])
    of_both_signs = abs(sum(highest) - 2 * negative) < sum(highest) // 2
    return (FLOATS if of_both_signs else UNSIGNED)[plain]


def _like_floats(highest: Sequence[int]) -> bool:
    """``highest``: how often each value of the highest byte occurs."""
    exponents = sum(highest[i] + highest[i + 0x80] for i in EXPONENTS)
    others = sum(highest) - exponents - highest[0]  # zero is a number of every type
    return exponents * (1 - MOST) > others


def _of_one_byte(counts: Sequence[int]) -> str | None:
    """Numbers of 8 bits are about as often positive as negative. The frequent integers are the small ones;
    of floats the small values are rare, and an octave of them has half as many as the one above it."""
    total = sum(counts)
    if total == 0 or max(counts) > total // 2:
        return None
    negated = sum(abs(counts[i] - counts[-i % 256]) for i in range(256))
    sign_flipped = sum(abs(counts[i] - counts[i ^ 0x80]) for i in range(256))
    if min(negated, sign_flipped) > total // 4:
        return None
    if negated <= sign_flipped:
        return "int8"
    magnitudes = [counts[i] + counts[i ^ 0x80] for i in range(128)]
    mode = magnitudes.index(max(magnitudes))
    # Two mantissa bits make 4 values an octave, three make 8: the rise below the mode says which.
    rises = {
        octave: abs(
            math.log2(
                (1 + sum(magnitudes[mode - octave : mode]))
                / (1 + 2 * sum(magnitudes[max(0, mode - 2 * octave) : mode - octave]))
            )
        )
        for octave in (4, 8)
        if mode >= 2 * octave
    }
    if not rises:
        return None
    return "fp8_e5m2" if min(rises, key=lambda octave: rises[octave]) == 4 else "fp8_e4m3"


def _sums(counts: Sequence[int], size: int) -> list[int]:
    return [sum(counts[i : i + size]) for i in range(0, len(counts), size)]


def _entropy(counts: Sequence[int]) -> float:
    """Bits."""
    total = sum(counts)
    return -sum(n / total * math.log2(n / total) for n in counts if n)
