"""What models of tensors share: the kinds of floats, and how large the next element will be.

The twin of nczip/native/tensor_scales.hpp; formats/tensor.md is the specification.
"""

from __future__ import annotations

from dataclasses import dataclass

from nczip.reference.field_coder import RATE

FLOATS = [(8, 7), (5, 10), (8, 23), (11, 52), (4, 3), (5, 2)]  # bits of exponent and mantissa


def level_of(value: int) -> int:
    """In sixteenths of an octave: the exponent and the next four bits."""
    value = max(value, 1)
    exponent = value.bit_length() - 1
    return exponent * 16 + ((value << 4 >> exponent) & 15)


def clip(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


@dataclass
class Column:
    level: int = 0
    sign: int = 0
    above: int = 0
    mantissa: int = 0
    negative: int = 0


class Scales:
    """How large the next value will be: a factor of its column times one of its row."""

    def __init__(self, row: int, elements: int) -> None:
        self.row_known = row > 0
        self.columns = [Column() for _ in range(max(1, min(row, elements)))]
        self.at = self.rows = self.in_row = self.row_factor = self.near_level = 0

    @property
    def column(self) -> Column:
        return self.columns[self.at]

    @property
    def expected(self) -> int:
        return (self.column.level + self.row_factor) >> 8

    @property
    def of_column(self) -> int:
        return self.column.level >> 8

    @property
    def near(self) -> int:
        return self.near_level >> 8

    def update(self, level: int, negative: bool | None = None) -> None:
        column = self.column
        if negative is not None:
            column.sign += ((-2047 if negative else 2047) - column.sign) >> 4
            column.negative = int(negative)
        if self.rows == self.in_row == 0:  # the first value of all
            column.level = self.near_level = level << 8
        by = _excess(level - self.expected)
        column.level += _change(by, min(self.rows, 200) + 1)
        self.row_factor += _change(by, min(self.in_row, 200) + 11)
        self.near_level += _change(_excess(level - self.near), 23)
        column.above = level
        self.in_row += 1
        self.at += 1
        if self.at == len(self.columns):
            self.at = 0
            self.rows += 1
            if self.row_known:
                self.in_row = 0
                self.row_factor -= self.row_factor >> 2
        elif self.rows == 0:
            self.column.level, self.column.above = self.near_level, self.near


def _excess(sixteenths: int) -> int:
    """2^octaves - 1 in units of 1/256, within four octaves."""
    d = clip(sixteenths, -64, 63) + 64
    return ((16 + d % 16) << d // 16) - 256


def _change(by: int, inertia: int) -> int:
    return (by * 23 * RATE[inertia] + 32768) >> 16
