"""The match model: where the last bytes stood before, and what followed there (after lpaq, Mahoney, 2007)."""

from __future__ import annotations

from nczip.reference.base_index import WINDOW, BaseIndex
from nczip.reference.counters import ONE, Counter, stretched
from nczip.reference.hashing import hash_of

BUCKETS = 32
MAX_LENGTH = 65535
MAX_VERIFIED = 400  # bytes that a new match is compared back
MAX_MISSES = 4  # among the last 16 bytes: with more, a match is given up
TRUSTS = 4  # kinds of matches: no, one, two, more misses among those bytes
LASTS_IN_TEXT = 16  # bytes of a match that may go on behind a wrong one


def bucket_of(length: int) -> int:
    """Which pair of counters a match of this length uses."""
    if length < 16:
        return length
    if length < 32:
        return 12 + length // 4
    if length < 64:
        return 16 + length // 8
    if length < 400:
        return 23 + length // 64
    return BUCKETS - 1


class MatchModel:
    """Follows one earlier occurrence of at least ``min_length`` bytes.

    While ``length`` is not 0, the last ``length`` bytes (or more) stood before ``history[pointer]``. Records
    of binary data are often alike but for some bytes, so a match goes on behind one that differs; in text
    only a long one is worth that.
    """

    def __init__(self, min_length: int, table_bits: int) -> None:
        self.min_length = min_length
        self.shift = 32 - table_bits
        self.last: dict[int, int] = {}  # position after the last occurrence, by hash
        self.pointer = 0
        self.length = 0
        self.misses = (
            0  # a bit for each of the last 16 bytes, the last one lowest: 1 where the match was wrong
        )
        self.expected_bit: int | None = None
        self.counters = [
            [[Counter(ONE // (bucket + 3)), Counter(ONE - ONE // (bucket + 3))] for bucket in range(BUCKETS)]
            for _ in range(TRUSTS)
        ]

    @property
    def bucket(self) -> int:
        return bucket_of(self.length)

    def learn(self, history: bytearray, binary: bool, base: BaseIndex | None) -> None:
        """The last byte of ``history``, all so far, is known now. ``base``: where else this model looks."""
        position = len(history)
        if self.length:
            self.follow(right=history[self.pointer] == history[-1], binary=binary)
        if position >= self.min_length:
            key = hash_of(*reversed(history[-self.min_length :])) >> self.shift
            if self.length < self.min_length and key in self.last:
                self.consider(history, self.last[key], self.min_length)
            self.last[key] = position
        if base and self.length < WINDOW and base.find(history) < position:
            self.consider(history, base.find(history), WINDOW)

    def consider(self, history: bytearray, pointer: int, least: int) -> None:
        """Follows what stands before ``pointer``, if ``least`` or more of the last bytes are the same."""
        length = common_suffix(history, pointer)
        if length < least:
            return
        if not self.length or pointer != self.pointer:
            self.misses = 0
        self.pointer, self.length = pointer, length

    def follow(self, right: bool, binary: bool) -> None:
        """One byte on. ``right``: it was the expected one."""
        if right:
            self.misses = self.misses << 1 & 0xFFFF
            self.length = min(self.length + 1, MAX_LENGTH)
            self.pointer += 1
            return
        may_go_on = binary or self.misses or self.length >= LASTS_IN_TEXT
        if may_go_on:
            self.misses = (self.misses << 1 | 1) & 0xFFFF
        if may_go_on and self.misses.bit_count() <= MAX_MISSES:
            self.length = 1
            self.pointer += 1
        else:
            self.length = 0

    def skip(self, count: int) -> None:
        """``count`` bytes came as expected; the ``learn`` that follows goes the last step of them."""
        self.pointer += count - 1
        self.length = min(self.length + count - 1, MAX_LENGTH)

    def drop(self) -> None:
        """Bytes came that this model was not told of."""
        self.length = 0

    def expect(self, history: bytearray, partial: int, bit_index: int) -> float:
        """The stretched probability of a 1, or 0 where nothing is expected.

        ``partial``: the bits of this byte so far under a leading 1; ``bit_index``: how many there are.
        """
        self.expected_bit = None
        if self.length:
            expected = history[self.pointer] | 0x100
            if expected >> 8 - bit_index == partial:
                self.expected_bit = expected >> 7 - bit_index & 1
        if self.expected_bit is None:
            return 0.0
        return stretched(self.counter(self.expected_bit).p)

    def update(self, bit: int) -> None:
        if self.expected_bit is not None:
            self.counter(self.expected_bit).update(bit)

    def counter(self, expected_bit: int) -> Counter:
        trust = min(self.misses.bit_count(), TRUSTS - 1)
        return self.counters[trust][self.bucket][expected_bit]


def common_suffix(history: bytearray, end: int) -> int:
    """How many bytes before ``end`` are the same as at the end of ``history``, up to MAX_VERIFIED."""
    length = 0
    while length < min(MAX_VERIFIED, end) and history[end - 1 - length] == history[-1 - length]:
        length += 1
    return length
