"""Adaptive probabilities, and the tables between probabilities and the logistic domain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nczip.reference.arithmetic import squash, stretch
from nczip.reference.bit_history import History

ONE = 1 << 22  # a counter's probabilities are in units of 2^-22
LIMIT = 1023  # bits after which a counter's average turns exponential


@dataclass
class Counter:
    """A probability of bit 1 and the number of bits behind it."""

    p: int = ONE // 2
    n: int = 0

    def update(self, bit: int, limit: int = LIMIT) -> None:
        """A step of about 1 / (n + 1.6) towards the bit, in whole units of 2^-22, rounded down."""
        target = ONE - 1 if bit else 0
        self.p += (target - self.p) * (655360 // (10 * self.n + 16)) >> 16
        self.n += self.n < limit


class HistoryMap(dict[History, Counter]):
    """What a bit history is worth in one model: a counter for each history.

    They start at (ones + 0.4) / (zeros + ones + 0.8), which trusts deterministic histories more the longer
    they are (after Krichevsky and Trofimov, 1981, who add 0.5 and 1).
    """

    def __missing__(self, history: History) -> Counter:
        counter = Counter((history.ones * 10 + 4) * ONE // (history.total * 10 + 8))
        self[history] = counter
        return counter


# stretch() in the middle of each of 4096 equal intervals; binary32 values as floats.
STRETCH: list[float] = stretch(
    (np.arange(4096, dtype=np.float32) + np.float32(0.5)) * np.float32(2**-12)
).tolist()

# squash() from -12 to 12 in the middle of steps of 1/128.
SQUASH = squash((np.arange(3072, dtype=np.float32) - np.float32(1535.5)) * np.float32(2**-7))


def stretched(p: int) -> float:
    """The stretched probability of a counter, by its upper 12 of 22 bits."""
    return STRETCH[p >> 10]


def quick_squash(x: np.float32) -> np.float32:
    """squash() by table; arguments are cut to [-11.99, 11.99]."""
    inside = min(max(x, np.float32(-11.99)), np.float32(11.99))
    value: np.float32 = SQUASH[int(inside * np.float32(128) + np.float32(1536))]
    return value
