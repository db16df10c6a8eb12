"""Arrays as the tests of numeric data need them: like weights, and like other things that programs count."""

from __future__ import annotations

import numpy as np

N = 1 << 15


def weights(count: int = N) -> np.ndarray:
    """binary32, normally distributed, the same ones on every machine."""
    uniform = np.random.Generator(np.random.PCG64(1)).random(
        (12, count)
    )  # promised to be stable, unlike normal
    return ((uniform.sum(axis=0) - 6) * 0.05).astype("<f4")


def bf16(values: np.ndarray) -> np.ndarray:
    """Truncated, as uint16."""
    return (values.view("<u4") >> 16).astype("<u2")


def e5m2(values: np.ndarray) -> np.ndarray:
    return (values.astype("<f2").view("<u2") >> 8).astype("u1")


def e4m3(values: np.ndarray) -> np.ndarray:
    """Truncated; values below 2^-9 lose their mantissa."""
    bits = values.view("<u4")
    exponent = (bits >> 23 & 0xFF).astype(int) - 127 + 7
    inside = np.clip(exponent, 0, 15).astype("u1") << 3 | (bits >> 20 & 7).astype("u1")
    return (bits >> 24 & 0x80).astype("u1") | np.where(exponent < 0, 0, inside).astype("u1")


def integers(scale: int, dtype: str) -> np.ndarray:
    return np.round(weights() * scale).astype(dtype)


ARRAYS: dict[str, np.ndarray] = {
    "fp32": weights(),
    "bf16": bf16(weights()),
    "fp16": weights().astype("<f2"),
    "fp64": weights().astype("<f8"),
    "fp8_e4m3": e4m3(weights() * 8),
    "fp8_e5m2": e5m2(weights()),
    "int8": np.clip(integers(400, "<i2"), -127, 127).astype("i1"),
    "int16": integers(4000, "<i2"),
    "int32": integers(40000, "<i4"),
    "int64": integers(40000, "<i8"),
}
