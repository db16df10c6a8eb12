"""The online SSM: a byte-level selective state-space model that trains while it reads.

After Gu and Dao (2023). The same numbers as nczip/native/ssm.hpp, to the bit: every operation is binary32,
and every sum in its order.

A channel of a layer is a diagonal recurrence whose decay a, input c and output gate q depend on what is read:

    a = squash(A), c = 2 squash(C) - 1, q = squash(Q);   h' = a h + sqrt(1 - a^2) c;   y = h' q

In the first layer (A, C, Q) is a sum of table rows: one for each of the last three bytes, and six rows of one
table that hashes of contexts choose. In the second it is a row for the last byte and a matrix times the first
layer's y. The next byte is a softmax over both layers' y.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from nczip.reference.arithmetic import ONE, Floats, exp2, lane_sum, squash, sum_in_order

SPAN = 16  # bytes from one training step to the next, which gradients go back through
OUTPUT_RATE = np.float32(0.07)
TABLE_RATE, TABLE_DECAY = np.float32(0.25), np.float32(0.998)
MATRIX_RATE, MATRIX_DECAY = np.float32(0.02), np.float32(0.995)
TINY_SQUARE = np.float32(1e-8)
HALF = np.float32(0.5)

LAST_BYTES = 3
LEAST_ROW_BITS, MOST_ROW_BITS = 12, 17
GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio, made odd
ALL_64 = (1 << 64) - 1
ALL_32 = (1 << 32) - 1


def row_bits(raw_size: int) -> int:
    """log2 of the rows that the hashed contexts of a block of so many bytes share."""
    return min(max(raw_size.bit_length(), LEAST_ROW_BITS), MOST_ROW_BITS)


def noise(seed: int = 0x6E637A) -> Iterator[float]:
    """Multiples of 2^-23 in [-1, 1) (a linear congruential generator; Numerical Recipes, 1992)."""
    while True:
        seed = (seed * 1664525 + 1013904223) & ALL_32
        yield ((seed ^ 1 << 31) - (1 << 31) >> 8) / (1 << 23)


class Weights:
    """Weights with the decayed sums of their squared gradients.

    Their steps are those of RMSprop (Hinton, 2012), but the sum is not scaled to a mean, so that they start
    as those of Adagrad (Duchi et al., 2011).
    """

    def __init__(self, values: Floats) -> None:
        self.values = values
        self.squares = np.zeros_like(values)

    def step(self, where: int | slice, gradient: Floats, rate: np.float32, decay: np.float32) -> None:
        self.squares[where] = self.squares[where] * decay + gradient * gradient
        self.values[where] -= gradient * rate / np.sqrt(self.squares[where] + TINY_SQUARE)


class HashedRow:
    """A row of gates' values; the squares of a gate's gradients are summed as one number."""

    def __init__(self, width: int) -> None:
        self.values = np.zeros((3, width), np.float32)
        self.squares = np.zeros(3, np.float32)

    def step(self, gradient: Floats) -> None:
        width = gradient.shape[1]
        self.squares = self.squares * TABLE_DECAY + lane_sum(gradient * gradient) * np.float32(1 / width)
        rate = TABLE_RATE / np.sqrt(self.squares + TINY_SQUARE)
        self.values -= gradient * rate[:, np.newaxis]


class Recurrence:
    """The channels of a layer over one span. Gates are arrays of (A, C, Q) x width."""

    def __init__(self, width: int) -> None:
        self.state = np.zeros(width, np.float32)
        self.a, self.scale, self.c, self.q, self.before, self.h, self.y, self.dy = np.zeros(
            (8, SPAN, width), np.float32
        )

    def forward(self, t: int, gates: Floats) -> None:
        self.a[t], half, self.q[t] = squash(gates)
        self.c[t] = half + half - ONE
        self.scale[t] = np.sqrt(ONE - self.a[t] * self.a[t])
        self.before[t] = self.state
        self.state = self.a[t] * self.before[t] + self.scale[t] * self.c[t]
        self.h[t] = self.state
        self.y[t] = self.h[t] * self.q[t]

    def backward(self) -> Floats:
        """The gates' gradients, SPAN x 3 x width, from dy; but for the factor ln 2 of a squash in bits."""
        gradients = np.empty((SPAN, 3, len(self.state)), np.float32)
        dh = np.zeros_like(self.state)
        for t in reversed(range(SPAN)):
            a, scale, c, q, dy = self.a[t], self.scale[t], self.c[t], self.q[t], self.dy[t]
            dh = dh + dy * q
            da = dh * (self.before[t] - c * a / (scale + np.float32(1e-6)))
            gradients[t, 0] = da * (a - a * a)
            gradients[t, 1] = dh * scale * (HALF - HALF * c * c)
            gradients[t, 2] = dy * self.h[t] * (q - q * q)
            dh = dh * a
        return gradients


def spread_over_time(table: Floats) -> None:
    """Adds to A what lets the channels' decays start between 1/3 and 64/65."""
    width = table.shape[2]
    table[:, 0] += np.float32(7) * np.arange(width, dtype=np.float32) / np.float32(width - 1) - ONE


class Ssm:
    """``row_bits``: log2 of the rows of the hashed table; ``first``, ``second``: channels of the layers."""

    def __init__(self, row_bits: int = LEAST_ROW_BITS, first: int = 128, second: int = 64) -> None:
        random = noise()

        def weights(scale: float, *shape: int) -> Weights:
            values = np.fromiter(random, np.float32, count=int(np.prod(shape)))
            return Weights(values.reshape(shape) * np.float32(scale))

        self.last_byte = [weights(0.5, 256, 3, first) for _ in range(LAST_BYTES)]
        self.second_byte = weights(0.1, 256, 3, second)
        self.matrix = weights(0.125, first, 3 * second)
        spread_over_time(self.last_byte[0].values)
        spread_over_time(self.second_byte.values)
        self.hashed: defaultdict[int, HashedRow] = defaultdict(lambda: HashedRow(first))
        self.row_bits = row_bits
        self.layers = Recurrence(first), Recurrence(second)
        self.output = [np.zeros((width, 256), np.float32) for width in (first, second)]
        self.bias = np.zeros(256, np.float32)
        self.history = 0  # the last eight bytes
        self.word = self.last_word = (
            0  # hashes of the letters since the last other byte, and of the run before
        )
        self.rows: list[tuple[list[int], list[HashedRow]]] = []  # of each byte of the span so far
        self.forward()

    def predict(self) -> list[int]:
        """257 partial sums over the next byte's values, from 0 to at most 2^30 + 256; every step is >= 1."""
        return [0, *np.cumsum(self.counts, dtype=np.int64).tolist()]

    def update(self, byte: int) -> None:
        """The byte that came after ``predict``."""
        error = self.counts.astype(np.float32) * (ONE / np.float32(self.counts.sum()))
        error[byte] -= ONE
        self.learn_output(error)
        self.read(byte)
        if len(self.rows) == SPAN:
            self.learn()
            self.rows = []
        self.forward()

    def read(self, byte: int) -> None:
        self.history = (self.history << 8 | byte) & ALL_64
        if bytes([byte]).isalpha() or byte >= 128:
            self.word = (self.word + (byte | 32)) * 0x2F0B4C47 & ALL_32
        elif self.word:
            self.last_word, self.word = self.word, 0

    def find_rows(self) -> tuple[list[int], list[HashedRow]]:
        """The last bytes; the rows of the hashed contexts: orders 2, 3, 4, 6, two of words."""
        orders = [self.history & (1 << 8 * n) - 1 for n in (2, 3, 4, 6)]
        contexts = [*orders, self.last_word << 8 | self.history & 255, self.word]
        rows = []
        for place, context in enumerate(contexts, 1):
            state = (context | place << 56) * GOLDEN & ALL_64
            state = (state ^ state >> 32) * GOLDEN & ALL_64
            rows.append(self.hashed[state >> 64 - self.row_bits])
        return [self.history >> 8 * k & 255 for k in range(LAST_BYTES)], rows

    def forward(self) -> None:
        """All bytes so far are known: what are the next one's counts?"""
        t = len(self.rows)
        self.rows.append(self.find_rows())
        last, hashed = self.rows[t]
        first, second = self.layers

        terms = [table.values[byte] for table, byte in zip(self.last_byte, last, strict=True)]
        terms += [row.values for row in hashed]
        first.forward(t, sum_in_order(np.stack(terms[1:]), terms[0]))
        products = self.matrix.values * first.y[t][:, np.newaxis]
        gates = sum_in_order(products, self.second_byte.values[last[0]].reshape(-1))
        second.forward(t, gates.reshape(3, -1))

        logits = self.bias
        for matrix, layer in zip(self.output, self.layers, strict=True):
            logits = sum_in_order(matrix * layer.y[t][:, np.newaxis], logits)
        shift = logits.max() - np.float32(22)  # the likeliest byte counts 2^22 + 1
        self.counts = (exp2(logits - shift) + ONE).astype(np.int32)

    def learn_output(self, error: Floats) -> None:
        """Plain gradient descent. The layers' dy is that of the weights which predicted."""
        t = len(self.rows) - 1
        self.bias = self.bias - error * OUTPUT_RATE
        for matrix, layer in zip(self.output, self.layers, strict=True):
            layer.dy[t] = lane_sum(matrix * error)
            matrix -= error * (layer.y[t] * OUTPUT_RATE)[:, np.newaxis]

    def learn(self) -> None:
        """A step of all other weights, by gradients through the span."""
        first, second = self.layers
        gradients = second.backward()
        flat = gradients.reshape(SPAN, -1)
        for t in range(SPAN):
            first.dy[t] += lane_sum(self.matrix.values * flat[t])
        products = flat[:, np.newaxis] * first.y[:, :, np.newaxis]
        self.matrix.step(slice(None), sum_in_order(products, np.float32(0)), MATRIX_RATE, MATRIX_DECAY)
        for t, (last, _) in enumerate(self.rows):
            self.second_byte.step(last[0], gradients[t], TABLE_RATE, TABLE_DECAY)

        gradients = first.backward()
        for t, (last, hashed) in enumerate(self.rows):
            for table, byte in zip(self.last_byte, last, strict=True):
                table.step(byte, gradients[t], TABLE_RATE, TABLE_DECAY)
            for row in hashed:
                row.step(gradients[t])
