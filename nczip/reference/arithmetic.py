"""Pinned arithmetic: the real functions of nczip/native/arithmetic.hpp, step by step in binary32.

All functions take and give arrays (or scalars) of binary32 and are exact to the bit on every machine: NumPy
rounds each operation on its own, as IEEE-754 says.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]

LANES = 16

ONE = np.float32(1)
ROUNDER = np.float32(3 << 22)  # adding it leaves no bits below the integers

# Coefficients from the highest power down.
EXP2 = "0x1.430912p-13 0x1.5d87fep-10 0x1.3b2ab6p-7 0x1.c6b08ep-5 0x1.ebfbep-3 0x1.62e43p-1 0x1p0"  # of 2^f
LOG2 = "0x1.a61762p-2 0x1.2776c6p-1 0x1.ec709ep-1 0x1.715476p+1"  # of 2 atanh(s) / (s ln 2), in s^2
HALF_ROOT = 0x3F3504F3  # the bits of sqrt(1/2)


def polynomial(coefficients: str, x: Floats) -> Floats:
    """Horner's rule."""
    first, *others = (np.float32(float.fromhex(c)) for c in coefficients.split())
    y = np.full_like(x, first)
    for coefficient in others:
        y = y * x + coefficient
    return y


def exp2(x: ArrayLike) -> Floats:
    """2^x, for x cut to [-126, 126]; relative error below 2^-22."""
    x = np.minimum(np.maximum(np.asarray(x, np.float32), np.float32(-126)), np.float32(126))
    nearest = (x + ROUNDER) - ROUNDER
    power = np.asarray((nearest.astype(np.int32) + np.int32(127)) << np.int32(23)).view(np.float32)
    return polynomial(EXP2, x - nearest) * power


def log2(x: ArrayLike) -> Floats:
    """log2(x) of normal positive x: the exponent, and the logarithm of a mantissa m in [0.7071, 1.4142)."""
    bits = np.asarray(x, np.float32).view(np.int32)
    exponent = (bits - np.int32(HALF_ROOT)) >> np.int32(23)
    m = np.asarray(bits - (exponent << np.int32(23))).view(np.float32)
    s = (m - ONE) / (m + ONE)
    return exponent.astype(np.float32) + polynomial(LOG2, s * s) * s


def squash(x: ArrayLike) -> Floats:
    """1 / (1 + 2^-x): from the logistic domain, in bits, to a probability."""
    return ONE / (ONE + exp2(-np.asarray(x, np.float32)))


def stretch(p: ArrayLike) -> Floats:
    """log2(p / (1 - p)): from a probability to the logistic domain, in bits."""
    p = np.asarray(p, np.float32)
    return log2(p / (ONE - p))


def sum_in_order(terms: Floats, start: Floats | np.float32) -> Floats:
    """start + terms[0] + terms[1] + ..., in this order, elementwise over the other axes."""
    first = np.broadcast_to(start, terms.shape[1:])[np.newaxis]
    total: Floats = np.add.accumulate(np.concatenate([first, terms]), axis=0)[-1]
    return total


def lane_sum(terms: Floats) -> Floats:
    """The sum of the last axis, a multiple of 16 long, in the pinned order.

    Sixteen strided sums, each in order; then the halves of what is left are added until one number is left:
    lanes i and i + 8, i and i + 4, i and i + 2, 0 and 1.
    """
    strided = terms.reshape(*terms.shape[:-1], -1, LANES)
    lanes = sum_in_order(np.moveaxis(strided, -2, 0), np.float32(0))
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = lanes[..., :half] + lanes[..., half:]
    total: Floats = lanes[..., 0]
    return total
