"""Bit histories: what was seen in one context, in one byte of memory.

Up to three bits are kept as they came. After that a history is the number of zeros, the number of ones and
the last bit, with bounded numbers; when a bit comes, the number of the *other* bit is cut if it is above two,
since recent bits tell more than old ones (nonstationary counts, Mahoney's PAQ6, 2002).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

EXACT = 3  # bits that are kept as they came
LARGER = (42, 24, 11, 8, 6, 5)  # bound of both numbers, by the smaller of the two (itself at most 5)


class History(NamedTuple):
    """``recent``: all bits that came, oldest first, while they are at most three; then the last one."""

    zeros: int
    ones: int
    recent: str

    @property
    def total(self) -> int:
        return self.zeros + self.ones


EMPTY = History(0, 0, "")


def cut(n: int) -> int:
    """What is left of a number of bits once the other bit comes."""
    return n if n <= 2 else n.bit_length()


@cache
def after(history: History, bit: int) -> History:
    """The history once ``bit`` has come."""
    zeros, ones, recent = history
    if history.total < EXACT:
        return History(zeros + (1 - bit), ones + bit, recent + str(bit))
    same, other = (ones + 1, zeros) if bit else (zeros + 1, ones)
    if (same, other) != (1, 3):  # a cut would leave three bits: the only history that would go back
        other = cut(other)
    bound = LARGER[min(same, other, len(LARGER) - 1)]
    same, other = min(same, bound), min(other, bound)
    return History(other, same, "1") if bit else History(same, other, "0")


class Histories(dict[int, History]):
    """A sparse table of histories, empty ones where nothing was seen."""

    def __missing__(self, key: int) -> History:
        return EMPTY


def numbered() -> list[History]:
    """All histories in the order of their numbers: by length and bits, then by zeros, ones, last bit."""
    exact = [
        format(bits, f"0{length}b") if length else ""
        for length in range(EXACT + 1)
        for bits in range(1 << length)
    ]
    counts = [
        (zeros, ones)
        for zeros in range(LARGER[0] + 1)
        for ones in range(LARGER[0] + 1)
        if zeros + ones > EXACT
        and min(zeros, ones) < len(LARGER)
        and max(zeros, ones) <= LARGER[min(zeros, ones)]
    ]
    return [History(bits.count("0"), bits.count("1"), bits) for bits in exact] + [
        History(zeros, ones, last)
        for zeros, ones in counts
        for last in "01"
        if (ones if last == "1" else zeros)
    ]
