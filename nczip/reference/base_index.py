"""Where the strings of a base stand, for matches that begin anywhere in it."""

from __future__ import annotations

GOLDEN = 0x9E3779B97F4A7C15
WINDOW = 22  # bytes of the strings: three bits a byte, and 64 in all
LEAST_STEP = 4  # of the positions that are taken in
LEAST_BITS, MOST_BITS = 10, 24  # log2 of the entries


class BaseIndex:
    """The last string with each hash, of those that end at multiples of a step."""

    def __init__(self, base: bytes) -> None:
        self.bits = min(max(LEAST_BITS, (len(base) // LEAST_STEP).bit_length()), MOST_BITS)
        step = max(LEAST_STEP, -(-len(base) >> MOST_BITS))
        self.ends: dict[int, int] = {}
        for end in range(step, len(base) + 1, step):
            if end >= WINDOW:
                self.ends[self.place(base[end - WINDOW : end])] = end

    def find(self, history: bytearray) -> int:
        """Where in the base the last WINDOW bytes may end, or 0."""
        return self.ends.get(self.place(history[-WINDOW:]), 0) if len(history) >= WINDOW else 0

    def place(self, string: bytes | bytearray) -> int:
        value = 0
        for byte in string:
            value = (value * 8 * GOLDEN + byte) % 2**64
        return value * GOLDEN % 2**64 >> 64 - self.bits
