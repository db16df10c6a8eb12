"""Secondary estimation: a probability corrected by what came before at such a probability in a small context.

Adaptive probability map (Mahoney, 2005); the idea is Shkarin's secondary estimation (PPMII, 2002).
"""

from __future__ import annotations

import numpy as np

from nczip.reference.arithmetic import ONE, Floats, squash

BUCKETS = 33
MIDDLE = np.float32(BUCKETS // 2)
STEP = np.float32(0.75)  # stretched units (bits) between buckets
RATE = np.float32(0.02)
LAST = np.float32(BUCKETS) - np.float32(1.001)

INITIAL = squash((np.arange(BUCKETS, dtype=np.float32) - MIDDLE) * STEP)


class Apm:
    """2^context_bits rows of 33 probabilities, at stretched -12, -11.25, ... 12, and between them."""

    def __init__(self, context_bits: int) -> None:
        self.shift = 32 - context_bits
        self.maps: dict[int, Floats] = {}
        self.used = INITIAL
        self.nearest = 0

    def refine(self, x: np.float32, context: int) -> np.float32:
        """The probability of a 1, given the mixer's stretched one and the hash of a context."""
        position = min(max(x * (ONE / STEP) + MIDDLE, np.float32(0)), LAST)
        low = int(position)
        weight = position - np.float32(low)
        self.used = self.maps.setdefault(context >> self.shift, INITIAL.copy())
        self.nearest = low + 1 if weight > np.float32(0.5) else low
        refined: np.float32 = self.used[low] * (ONE - weight) + self.used[low + 1] * weight
        return refined

    def update(self, bit: int) -> None:
        """The nearer of the two probabilities learns."""
        p = self.used[self.nearest]
        self.used[self.nearest] = p + (np.float32(bit) - p) * RATE
