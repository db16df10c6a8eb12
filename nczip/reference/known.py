"""What every block starts with: a part of the format, like a table of constants."""

from __future__ import annotations

import functools

import numpy as np

from nczip import knowledge
from nczip.reference.arithmetic import LANES, Floats
from nczip.reference.mixer import FINAL_CONTEXTS
from nczip.reference.parts import PARTS, Parts

LINE = 64  # bytes: four checks and four slots of 15 histories
LINES = LINE << 18  # bytes
UNIT = np.float32(2.0**-12)  # of a weight


@functools.cache
def known_lines() -> bytes:
    """Lines as the hash table has them."""
    return knowledge.load()[:LINES]


def known_weights(level: int) -> Floats:
    """Of a level's mixer, first layer and then second."""
    start = LINES + 2 * sum(weight_count(parts) for other, parts in PARTS.items() if other < level)
    numbers = knowledge.load()[start : start + 2 * weight_count(PARTS[level])]
    return np.frombuffer(numbers, "<i2").astype(np.float32) * UNIT


def weight_count(parts: Parts) -> int:
    return sum(parts.selectors) * parts.inputs + (FINAL_CONTEXTS * LANES if parts.apms else 0)
