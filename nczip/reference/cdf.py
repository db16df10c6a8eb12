"""From partial sums to coded decisions: the CDF of direct coding, and the walk of spelled coding.

A vocabulary is a sequence of distinct byte strings in lexicographic order that holds every single byte. A
predictor gives integer partial sums over it: string i has mass sums[i + 1] - sums[i], at least 1.
"""

from __future__ import annotations

from collections.abc import Sequence

TOTAL = 1 << 24


def make_cdf(sums: Sequence[int]) -> list[int]:
    """Cumulative counts that total 2^24, every count at least 1. ``sums``: one more than strings."""
    size = len(sums) - 1
    return [int(s) * (TOTAL - size) // int(sums[-1]) + i for i, s in enumerate(sums)]


class Walk:
    """One token as yes-or-no decisions down the trie of the vocabulary.

    The decisions are the eight bits of a byte, highest first, then END?, the next eight bits, END?, and so on
    until END? is yes. Where all strings that are left agree, nothing is asked. Before each decision ``one``
    of ``total`` is the mass of 1 (yes); ``take`` tells the answer; ``done`` says that ``token`` is known.
    """

    def __init__(self, vocabulary: Sequence[bytes], sums: Sequence[int]) -> None:
        self.vocabulary = vocabulary
        self.sums = sums
        self.left = range(len(vocabulary))  # the strings that agree with the answers so far
        self.ones = self.left  # those of them that a 1 leaves
        self.depth = 0  # bytes that are known in full
        self.bit: int | None = 7  # bit of the next byte that is asked, None for END?
        self.settle()

    @property
    def done(self) -> bool:
        """The token is known."""
        return len(self.left) == 1

    @property
    def token(self) -> int:
        return self.left[0]

    @property
    def total(self) -> int:
        return self.mass(self.left)

    @property
    def one(self) -> int:
        return self.mass(self.ones)

    def mass(self, strings: range) -> int:
        return int(self.sums[strings.stop]) - int(self.sums[strings.start])

    def answer(self, token: int) -> bool:
        """What coding ``token`` answers here."""
        return token in self.ones

    def take(self, answer: bool) -> None:
        if answer:
            self.left = self.ones
        elif self.ones.start == self.left.start:  # END? is yes for the first string: a prefix of the others
            self.left = range(self.ones.stop, self.left.stop)
        else:
            self.left = range(self.left.start, self.ones.start)
        self.move()
        self.settle()

    def settle(self) -> None:
        """Passes over what all strings that are left agree on."""
        while not self.done:
            first, stop = self.left.start, self.left.stop
            if self.bit is None:
                self.ones = range(first, first + (len(self.vocabulary[first]) == self.depth))
            else:
                bit = self.bit
                zeros = sum(1 for i in self.left if not self.vocabulary[i][self.depth] >> bit & 1)
                self.ones = range(first + zeros, stop)
            if 0 < len(self.ones) < len(self.left):
                return
            self.move()

    def move(self) -> None:
        """To the place of the next decision."""
        if self.bit is None:
            self.bit = 7
        elif self.bit == 0:
            self.bit = None
            self.depth += 1
        else:
            self.bit -= 1
