"""The range coder at 24 bits, with integers as long as they need to be (Pasco 1976, Martin 1979).

What is coded is one number: each symbol narrows the interval that it lies in. Both ends of the interval are
binary fractions; when it gets narrow, 32 more digits are kept. nczip/native/range_coder.hpp does the same
in 64 bits, with carries. A packed stream is the digits of a number in the last interval, high byte first,
without zero bytes at its end.
"""

from __future__ import annotations

PRECISION = 24
TOTAL = 1 << PRECISION
WORD = 32  # bits
LEFT_OUT = 64  # zero bytes at most that a packed stream goes without at its end
STATE = 64  # bits at the start: the interval is wider than 2^32 units between symbols


class RangeEncoder:
    def __init__(self) -> None:
        self.lower = 0  # in units of 2^-digits
        self.width = (1 << STATE) - 1
        self.digits = STATE
        self.used = False

    def encode(self, left: int, width: int) -> None:
        """Codes the interval [left, left + width) of [0, 2^24); ``width`` is at least 1."""
        unit = self.width >> PRECISION
        self.lower += unit * left
        self.width = unit * width
        self.used = True
        if self.width < 1 << WORD:
            self.lower <<= WORD
            self.width <<= WORD
            self.digits += WORD

    def encode_bit(self, bit: int, p1: int) -> None:
        """Codes a decision, given the probability of 1 in units of 2^-24; 1 owns the lower part."""
        if bit:
            self.encode(0, p1)
        else:
            self.encode(p1, TOTAL - p1)

    def finish(self) -> bytes:
        """The packed stream: of all numbers in the interval, one with the most zero bytes at its end."""
        if not self.used:
            return b""
        for zero_bits in range(56, -1, -8):
            point = -(-self.lower >> zero_bits) << zero_bits  # rounded up
            if point < self.lower + self.width:
                digits = point.to_bytes(self.digits // 8, "big")
                return digits[:-LEFT_OUT] + digits[-LEFT_OUT:].rstrip(b"\0")
        raise AssertionError("the lower end is in the interval")


class RangeDecoder:
    """Reads a packed stream; past its end come zeros. Damaged streams give wrong symbols, not errors."""

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self.read = STATE // 8  # bytes that are in ``offset``
        self.offset = int.from_bytes(
            packed[: self.read].ljust(self.read, b"\0"), "big"
        )  # of the point in the interval
        self.width = (1 << STATE) - 1

    def peek(self) -> int:
        """Where in [0, 2^24) the next symbol's interval lies."""
        return min(self.offset // (self.width >> PRECISION), TOTAL - 1)

    def take(self, left: int, width: int) -> None:
        """The next symbol's interval was [left, left + width)."""
        unit = self.width >> PRECISION
        self.offset = (self.offset - unit * left) % (1 << STATE)  # damage may take it below 0
        self.width = unit * width
        if self.width < 1 << WORD:
            word = self.packed[self.read : self.read + WORD // 8].ljust(WORD // 8, b"\0")
            self.offset = self.offset << WORD | int.from_bytes(word, "big")
            self.width <<= WORD
            self.read += WORD // 8

    def decode_bit(self, p1: int) -> bool:
        """A decision, given the probability of 1 in units of 2^-24."""
        bit = self.peek() < p1
        self.take(*((0, p1) if bit else (p1, TOTAL - p1)))
        return bit
