"""The match model: where the last bytes stood before, and what followed there (after lpaq, Mahoney, 2007)."""

from __future__ import annotations

from nczip.reference.counters import ONE, Counter, stretched
from nczip.reference.hashing import hash_of

BUCKETS = 32
MAX_LENGTH = 65535
MAX_VERIFIED = 400  # bytes that a new match is compared back


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

    While ``length`` is not 0, the last ``length`` bytes (or more) stood before ``history[pointer]``.
    """

    def __init__(self, min_length: int, table_bits: int) -> None:
        self.min_length = min_length
        self.shift = 32 - table_bits
        self.last: dict[int, int] = {}  # position after the last occurrence, by hash
        self.pointer = 0
        self.length = 0
        self.expected_bit: int | None = None
        self.counters = [
            [Counter(ONE // (bucket + 3)), Counter(ONE - ONE // (bucket + 3))] for bucket in range(BUCKETS)
        ]

    @property
    def bucket(self) -> int:
        return bucket_of(self.length)

    def learn(self, history: bytearray) -> None:
        """The last byte of ``history``, all bytes so far, has become known."""
        position = len(history)
        if self.length and history[self.pointer] == history[-1]:
            self.length = min(self.length + 1, MAX_LENGTH)
            self.pointer += 1
        else:
            self.length = 0
        if position < self.min_length:
            return
        key = hash_of(*reversed(history[-self.min_length :])) >> self.shift
        if not self.length and key in self.last:
            self.pointer = self.last[key]
            self.length = common_suffix(history, self.pointer)
            if self.length < self.min_length:
                self.length = 0
        self.last[key] = position

    def skip(self, count: int) -> None:
        """``count`` bytes came as expected; the ``learn`` that follows goes the last step of them."""
        self.pointer += count - 1
        self.length = min(self.length + count - 1, MAX_LENGTH)

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
        return stretched(self.counters[self.bucket][self.expected_bit].p)

    def update(self, bit: int) -> None:
        if self.expected_bit is not None:
            self.counters[self.bucket][self.expected_bit].update(bit)


def common_suffix(history: bytearray, end: int) -> int:
    """How many bytes before ``end`` are the same as at the end of ``history``, up to MAX_VERIFIED."""
    length = 0
    while length < min(MAX_VERIFIED, end) and history[end - 1 - length] == history[-1 - length]:
        length += 1
    return length
