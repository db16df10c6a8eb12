"""What a value of a tensor will be, linearly from those before it in its row.

The twin of nczip/native/row_predictor.hpp; formats/tensor.md is the specification.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nczip.reference.tensor_scales import clip, level_of

UNIT, MOST = 32, 255  # values are in units of 1/32 of the size that was expected
GROUP, MOST_COLUMNS, FIRST_ROWS, BATCH, MOST_ROWS = 512, 8192, 32, 16, 32752
MOST_SURPRISE, MOST_WEIGHT = 511, 8191
RIDGE = np.float32(1.5)


def relative_size(level: int, expected: int) -> int:
    octaves = (level >> 4) - (expected >> 4)
    if octaves > 4:
        return MOST
    size = 0 if octaves < -8 else (64 << 8) * (16 + level % 16) >> (8 - octaves)
    return min((size // (16 + expected % 16) + 1) // 2, MOST)


class RowPredictor:
    def __init__(self, row: int, elements: int) -> None:
        self.row = row
        self.columns = min(row, MOST_COLUMNS) if row >= 2 and elements // row >= FIRST_ROWS else 0
        self.groups = [_Group(min(GROUP, self.columns - begin)) for begin in range(0, self.columns, GROUP)]
        self.deviations = [16 * UNIT] * self.columns
        self.at = self.rows = self.predicted = 0
        self.next = FIRST_ROWS

    @property
    def deviation(self) -> int:
        return max(self.deviations[self.at], 16) if self.at < self.columns else 16 * UNIT

    @property
    def narrower(self) -> int:
        return level_of(self.deviation) - level_of(16 * UNIT)

    def update(self, value: int) -> None:
        if not self.groups:
            return
        if self.at < self.columns:
            self.groups[self.at // GROUP].put(self.at % GROUP, value, self.predicted)
            off = abs(value - self.predicted)
            self.deviations[self.at] += (16 * off - self.deviations[self.at] + 16) >> 5
        self.at += 1
        if self.at == self.row:
            self.at = 0
            self.rows += 1
            factors = self.rows >= self.next
            if factors:
                self.next += max(self.next // 4, min(self.row, GROUP) // 8)
            for group in self.groups:
                group.end_row(factors)
        inside = self.at < self.columns
        self.predicted = self.groups[self.at // GROUP].predicted(self.at % GROUP) if inside else 0


class _Group:
    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.moments = np.zeros((columns, columns), np.int64)
        self.weights = np.zeros((columns, columns), np.int64)  # below the diagonal
        self.row, self.surprises = np.zeros((2, columns), np.int64)
        self.waiting = self.counted = 0

    def predicted(self, column: int) -> int:
        total = int(self.weights[column, :column] @ self.surprises[:column])
        return clip((total + 2048) >> 12, -MOST_SURPRISE, MOST_SURPRISE)

    def put(self, column: int, value: int, predicted: int) -> None:
        self.row[column] = value
        self.surprises[column] = clip(value - predicted, -MOST_SURPRISE, MOST_SURPRISE)

    def end_row(self, factors: bool) -> None:
        if self.waiting == 0:
            self.batch = np.zeros_like(self.moments)
        self.batch += np.outer(self.row, self.row)
        self.waiting += 1
        if self.waiting == BATCH or factors:
            if self.counted + self.waiting > MOST_ROWS:
                self.counted //= 2
                self.moments >>= 1
            self.moments += self.batch
            self.counted += self.waiting
            self.waiting = 0
        if factors and np.trace(self.moments):
            self._factor()

    def _factor(self) -> None:
        """One column after the other; every element has one subtraction for each column before, in order."""
        rest: NDArray[np.float32] = self.moments.astype(np.float32)
        ridge = RIDGE * np.float32(np.trace(self.moments)) / np.float32(self.counted)
        rest[np.diag_indices(self.columns)] += ridge
        with np.errstate(all="ignore"):  # halved moments need not be positive definite
            for k in range(self.columns):
                pivot = ridge if rest[k, k] < ridge else rest[k, k]
                weights = rest[k + 1 :, k] / pivot
                weights = np.where(np.abs(weights) <= 64, weights, np.float32(0))
                rest[k + 1 :, k + 1 :] -= np.outer(weights, rest[k + 1 :, k])
                scaled = weights * np.float32(4096)
                rounded = np.trunc(scaled + np.where(scaled < 0, np.float32(-0.5), np.float32(0.5)))
                self.weights[k + 1 :, k] = np.clip(rounded, -MOST_WEIGHT, MOST_WEIGHT)
