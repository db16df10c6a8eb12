"""Fields of a few bits through binary decisions, each mixed from what followed in several contexts.

The twin of nczip/native/field_coder.hpp. A coder is an object with ``bit(value, p1)`` and ``uniform(value,
count)`` that return the value: an encoder the one it was given, a decoder the one it read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nczip.reference.range_coder import TOTAL, RangeDecoder, RangeEncoder

MOST_STRETCH = 2815  # 11 nats, in units of 1/256
PROBABILITY_BITS = 22
LEAST, MOST = 64, (1 << PROBABILITY_BITS) - 64  # of a counter's probability
FIRST_COUNT, MOST_COUNT = 2, 1020
MOST_WEIGHT = 1 << 20
NODE_BITS = 8  # what a question costs until its counters know, about


class Coder(Protocol):
    encodes: bool

    def bit(self, value: int, p1: int) -> int:
        """A decision; ``p1`` is the probability of 1 in units of 2^-16."""

    def uniform(self, value: int, count: int) -> int:
        """One of ``count`` values that are equally likely."""


class Encoder:
    encodes = True

    def __init__(self) -> None:
        self.range = RangeEncoder()

    def bit(self, value: int, p1: int) -> int:
        self.range.encode_bit(value, p1 << 8)
        return value

    def uniform(self, value: int, count: int) -> int:
        width = TOTAL // count
        self.range.encode(value * width, width)
        return value


class Decoder:
    encodes = False

    def __init__(self, packed: bytes) -> None:
        self.range = RangeDecoder(packed)

    def bit(self, value: int, p1: int) -> int:
        return int(self.range.decode_bit(p1 << 8))

    def uniform(self, value: int, count: int) -> int:
        width = TOTAL // count
        value = min(self.range.peek() // width, count - 1)
        self.range.take(value * width, width)
        return value


def _squashes() -> list[int]:
    """2^16 / (1 + e^-x) for x from -MOST_STRETCH to MOST_STRETCH in units of 1/256."""
    one, step = 1 << 22, 4210720  # e^(1/256) in units of 2^-22
    power, upper = one, []
    for _ in range(MOST_STRETCH + 1):
        upper.append((power << 16) // (power + one))
        power = (power * step + one // 2) >> 22
    return [65536 - p for p in upper[:0:-1]] + upper


SQUASH = _squashes()


def _stretches() -> list[int]:
    """The inverse, of a probability in units of 2^-12: the first x that is as likely or likelier."""
    x, found = 0, []
    for i in range(4096):
        while x < 2 * MOST_STRETCH and SQUASH[x] < 16 * i + 8:
            x += 1
        found.append(x - MOST_STRETCH)
    return found


STRETCH = _stretches()
RATE = [(2 << 16) // (2 * n + 3) for n in range(1024)]  # 1 / (n + 1.5), in units of 2^-16


def log2_fixed(value: int) -> int:
    """log2 in units of 2^-16, rounded down, by squaring a fraction of 31 bits; of 0 as of 1."""
    if value <= 1:
        return 0
    whole = value.bit_length() - 1
    x = value >> (whole - 31) if whole > 31 else value << (31 - whole)
    result = whole
    for _ in range(16):
        x = x * x >> 31
        result = result << 1 | x >> 32
        x >>= x >> 32
    return result


class AdaptiveBit:
    def __init__(self) -> None:
        self.p1 = 32768

    def code(self, coder: Coder, value: int) -> int:
        bit = coder.bit(value, self.p1)
        self.p1 += (65536 - self.p1) >> 4 if bit else -(self.p1 >> 4)
        return bit


class Field:
    """A field of ``bits`` bits. ``values``: how many values each of its contexts takes.

    ``histogram`` is how often each symbol comes, which matters to an encoder. With ``or_noise`` symbols may
    go as they are.
    """

    def __init__(
        self, coder: Coder, bits: int, values: Sequence[int], histogram: Sequence[int], or_noise: bool = False
    ) -> None:
        self.symbols = 1 << bits
        noise = or_noise and coder.encodes and _is_noise(bits, histogram)
        self.raw = or_noise and coder.uniform(noise, 2) == 1
        self.nodes: list[tuple[int, list[int]]] = []  # least symbol of the side of 1; children
        self.first: list[int] = []  # probability of 1, of a node
        if self.raw:
            return
        logs = [n.bit_length() for n in histogram[: self.symbols]] if coder.encodes else [0] * self.symbols
        logs = _code_logs(coder, logs)
        root = self._grow([1 << log >> 1 for log in logs], 0, self.symbols)
        self.only = ~root
        contexts = len(values)
        self.counters: list[dict[int, list[list[int]]]] = [{} for _ in values]
        self.weights = [[65536 // contexts] * contexts for _ in self.nodes]

    def _grow(self, weights: list[int], low: int, high: int) -> int:
        """The tree over the symbols [low, high): a node's number, or ~symbol."""
        present = [s for s in range(low, high) if weights[s]]
        if len(present) <= 1:
            return ~(present[0] if present else low)
        total, below = sum(weights[low:high]), 0
        best = None
        for s in present:
            if s > present[0]:
                off = abs(2 * below - total)
                if best is None or off < best[0]:
                    best = off, s, below
            below += weights[s]
        assert best is not None
        _, least, zeros = best
        number = len(self.nodes)
        self.nodes.append((least, []))
        self.first.append(min(max(((total - zeros) << PROBABILITY_BITS) // total, LEAST), MOST))
        children = [self._grow(weights, low, least), self._grow(weights, least, high)]
        self.nodes[number][1].extend(children)
        return number

    def code(self, coder: Coder, contexts: Sequence[int], symbol: int) -> int:
        if self.raw:
            return coder.uniform(symbol, self.symbols)
        if not self.nodes:
            return self.only
        counters = [
            table.setdefault(context, [[p, FIRST_COUNT] for p in self.first])
            for table, context in zip(self.counters, contexts, strict=True)
        ]
        node = 0
        while node >= 0:
            least, children = self.nodes[node]
            asked = [counter[node] for counter in counters]
            weights = self.weights[node]
            inputs = [STRETCH[p >> 10] for p, _ in asked]
            x = sum(weight * value for weight, value in zip(weights, inputs, strict=True)) >> 16
            p1 = SQUASH[min(max(x, -MOST_STRETCH), MOST_STRETCH) + MOST_STRETCH]
            bit = coder.bit(int(symbol >= least), p1)
            error = (bit << 16) - p1
            for i, counter in enumerate(asked):
                weight = weights[i] + ((inputs[i] * error + 32768) >> 16)
                weights[i] = min(max(weight, -MOST_WEIGHT), MOST_WEIGHT)
                p, count = counter
                p += ((bit << PROBABILITY_BITS) - p) * RATE[count] >> 16
                counter[:] = min(max(p, LEAST), MOST), min(count + 1, MOST_COUNT)
            node = children[bit]
        return ~node


def _is_noise(bits: int, histogram: Sequence[int]) -> bool:
    total, present = sum(histogram), sum(n > 0 for n in histogram)
    information = sum(n * (log2_fixed(total) - log2_fixed(n)) for n in histogram)
    return present > 1 and information + present * NODE_BITS * 65536 >= total * (bits * 65536 - 655)


def _code_logs(coder: Coder, logs: list[int]) -> list[int]:
    present = [AdaptiveBit(), AdaptiveBit()]
    tree = [AdaptiveBit() for _ in range(32)]
    before, found = 0, []
    for log in logs:
        before = present[before].code(coder, int(log > 0))
        path = 0
        if before:
            path = 1
            for shift in range(4, -1, -1):
                path = path << 1 | tree[path].code(coder, log >> shift & 1)
        found.append(path & 31)
    return found
