"""Floats beside those of a reference, by how many numbers lie between them.

The twin of nczip/native/tensor_differences.hpp; formats/tensor.md is the specification.
"""

from __future__ import annotations

from nczip.reference.field_coder import Coder, Field
from nczip.reference.row_predictor import RowPredictor, relative_size
from nczip.reference.tensor_scales import FLOATS, Scales, clip, level_of

LEAST_RUN = 256  # elements that one decision says to be those of the reference
PLACES = 576


class DifferenceModel:
    def __init__(self, coder: Coder, kind: int, row: int, units: list[bytes], reference: list[bytes]) -> None:
        self.coder = coder
        self.exponent_bits, self.mantissa_bits = FLOATS[kind]
        self.bits = 1 + self.exponent_bits + self.mantissa_bits
        self.run = -(-LEAST_RUN // row) * row if row else LEAST_RUN
        self.units, self.reference = units, reference
        self.scales = Scales(row, len(reference))
        self.predictor = RowPredictor(row, len(reference))
        same, size, sign, head = [0] * 2, [0] * 128, [0] * 2, [0] * 16
        differences = [self._difference(*pair) for pair in zip(units, reference, strict=False)]
        any_bits = 0
        for d in differences:
            any_bits |= d
        shift = (any_bits & -any_bits).bit_length() - 1 if any_bits else 0
        for begin in range(0, len(units), self.run):
            run = differences[begin : begin + self.run]
            same[not any(run)] += 1
            for d in run if any(run) else ():
                negative, steps = self._steps(d, shift)
                size[steps.bit_length()] += 1
                if steps:
                    sign[negative] += 1
                if steps > 1:
                    head[head_of(steps)] += 1
        self.shift = coder.uniform(shift, 64)
        self.same = Field(coder, 1, (256,), same)
        exponents = 1 << self.exponent_bits
        places = PLACES, PLACES // 2, PLACES // 2
        self.size = Field(coder, self.bits.bit_length(), (*places, exponents, 512, 256, 1024), size)
        self.sign = Field(coder, 1, (16, 32, 16, 16, 64), sign)
        self.head = Field(coder, 4, (256, 128, 256, 129), head)
        self.at = self.last_runs = self.zeros = self.signs = self.agreements = 0
        self.is_same = False
        self.left = self.left_of_left = self.last_negative = self.last_above = 0

    def _ordered(self, value: int) -> int:
        """From bits to integers in the order of the numbers; and back."""
        return value ^ (1 << (self.bits - 1)) - 1 if value >> (self.bits - 1) else value

    def _difference(self, unit: bytes, reference: bytes) -> int:
        one, other = (self._ordered(int.from_bytes(bits, "little")) for bits in (unit, reference))
        return (one - other) % (1 << self.bits)

    def _steps(self, d: int, shift: int) -> tuple[int, int]:
        negative = d >> (self.bits - 1)
        return negative, (((1 << self.bits) - d) if negative else d) >> shift

    def unit(self, unit: bytes) -> bytes:
        reference = self.reference[self.at]
        if self.at % self.run == 0:
            run = slice(self.at, self.at + self.run)
            is_same = self.units[run] == self.reference[run]
            self.is_same = self.same.code(self.coder, (self.last_runs,), int(is_same)) == 1
            self.last_runs = (self.last_runs << 1 | self.is_same) & 255
        self.at += 1
        if self.is_same:
            return reference
        of_reference = int.from_bytes(reference, "little")
        d = self._element(self._difference(unit, reference), of_reference)
        value = self._ordered((self._ordered(of_reference) + d) % (1 << self.bits))
        return value.to_bytes(len(reference), "little")

    def _element(self, d: int, reference: int) -> int:
        coder, scales, column = self.coder, self.scales, self.scales.column
        exponent = reference >> self.mantissa_bits & (1 << self.exponent_bits) - 1
        negative_reference = reference >> (self.bits - 1)
        step = 16 * max(exponent, 1) + 16 * self.shift
        expected, of_column, near = scales.expected, scales.of_column, scales.near

        def place(level: int) -> int:
            return clip((level - step + 128) >> 1, 0, PLACES - 1)

        def beside(level: int) -> int:
            return clip((level - expected + 64) >> 4, 0, 7)

        predicted = self.predictor.predicted
        against = predicted < 0
        away = _sixteenths(abs(predicted), expected - step)
        off = max(_sixteenths(self.predictor.deviation, expected - step) >> 4, 1)

        negative, steps = self._steps(d, self.shift)
        contexts = (
            place(expected),
            place(of_column) >> 1,
            place(near) >> 1,
            exponent,
            beside(self.left) << 6 | beside(self.left_of_left) << 3 | beside(column.above),
            self.zeros,
            clip(level_of(away) >> 2, 0, 63) << 4 | clip(level_of(off) >> 4, 0, 15),
        )
        size = min(self.size.code(coder, contexts, steps.bit_length()), self.bits)
        self.zeros = (self.zeros << 1 | (size == 0)) & 255
        if size == 0:
            scales.update(min(expected, step - 16))
            self.predictor.update(0)
            self.left_of_left, self.left = self.left, step - 16
            return 0

        agrees = self.last_negative == self.last_above
        self.agreements = (self.agreements << 1 | agrees) & 7
        over = size - self.mantissa_bits + self.shift
        above = column.negative
        odds = min((48 << min(size, 24)) * away // off**2, 31)
        of_sign = (
            self.signs << 1 | negative_reference,
            clip((column.sign >> 8) + 8, 0, 15) << 1 | negative_reference,
            self.agreements << 1 | above,
            clip(over + 2, 0, 7) << 1 | negative_reference,
            32 - odds if against else 32 + odds,
        )
        negative = self.sign.code(coder, of_sign, negative)
        self.signs = (self.signs << 1 | negative) & 7
        self.last_negative, self.last_above = negative, above

        found, level = 1, step + 16 * (size - 1)
        if size > 1:
            few = min(size, 5) - 2 << 6
            octaves = [clip((level - scale + 128) >> 2, 0, 63) for scale in (expected, near)]
            there = clip((away * 2 >> size) - 8, 0, 31)
            unsure = clip((level_of(off * 32 >> size) >> 4) - 2, 0, 3)
            like = 1 + (there << 2 | unsure) if negative == against else 0
            head = self.head.code(coder, (few | octaves[0], size, few | octaves[1], like), head_of(steps))
            level += head
            found = (16 | head) >> max(5 - size, 0)
            rest = max(size - 5, 0)
            while rest > 0:
                count = min(rest, 8)
                rest -= count
                found = found << count | coder.uniform(steps >> rest & (1 << count) - 1, 1 << count)
        scales.update(level, negative == 1)
        relative = relative_size(level, expected)
        self.predictor.update(-relative if negative else relative)
        self.left_of_left, self.left = self.left, level
        found <<= self.shift
        return (-found if negative else found) % (1 << self.bits)


def _sixteenths(size: int, level: int) -> int:
    """Of a size in units of 1/32 of one whose level is so much above a step's."""
    t = clip(level, -128, 255)
    return size * (16 + t % 16) << (8 + (t >> 4)) >> 13


def head_of(steps: int) -> int:
    """Up to four bits below the highest, from the upper of four on."""
    return (steps << 5 >> steps.bit_length()) & 15
