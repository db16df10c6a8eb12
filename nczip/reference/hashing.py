"""The one hash of the mixture: multiplicative steps by the golden ratio (Knuth, 1973) on 32-bit integers."""

from __future__ import annotations

GOLDEN = 0x9E3779B1  # 2^32 / golden ratio, made odd


def hash_step(state: int, value: int) -> int:
    """Takes one more value into a hash. Values count modulo 2^32; the result is below 2^32."""
    state = (state + value + 1) * GOLDEN & 0xFFFFFFFF
    return state ^ state >> 15


def hash_of(*values: int) -> int:
    """The hash of a sequence of integers."""
    state = 0
    for value in values:
        state = hash_step(state, value)
    return state
