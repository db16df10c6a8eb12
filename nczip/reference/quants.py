"""Blocks of quants: where their fields are, what they mean, and the scales among them.

The twin of nczip/native/quants.hpp and quant_scales.hpp; formats/tensor.md is the specification.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nczip.reference.field_coder import Coder, Field
from nczip.reference.tensor_scales import level_of

INT8, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K = range(6, 15)


@dataclass(frozen=True)
class Layout:
    """A block of quants: bytes, weights, bits of a weight, parts with scales of their own, offsets or not."""

    bytes: int
    weights: int
    bits: int
    parts: int
    offset: bool
    steps: int  # between the ends of what the integers span, where a block was made by its ends


QUANTS = {
    INT8: Layout(32, 32, 8, 0, False, 0),
    Q4_0: Layout(18, 32, 4, 0, False, 0),
    Q4_1: Layout(20, 32, 4, 0, True, 15),
    Q5_0: Layout(22, 32, 5, 0, False, 0),
    Q5_1: Layout(24, 32, 5, 0, True, 31),
    Q8_0: Layout(34, 32, 8, 0, False, 127),
    Q4_K: Layout(144, 256, 4, 8, True, 0),
    Q5_K: Layout(176, 256, 5, 8, True, 0),
    Q6_K: Layout(210, 256, 6, 16, False, 0),
}


@dataclass
class Block:
    scale: int = 0
    offset: int = 0
    part_scale: list[int] = field(default_factory=lambda: [0] * 16)
    part_offset: list[int] = field(default_factory=lambda: [0] * 16)
    q: list[int] = field(default_factory=lambda: [0] * 256)


Place = tuple[str, int, int, int, int, int]  # field, index, its lowest bit, byte, the lowest bit there, bits


def places(kind: int) -> Iterator[Place]:
    """Where the bits of a block's fields are."""

    def nibbles(at: int, first: int, count: int, apart: int) -> Iterator[Place]:
        for i in range(count):
            yield "q", first + i, 0, at + i, 0, 4
            yield "q", first + i + apart, 0, at + i, 4, 4

    def half(name: str, at: int) -> Iterator[Place]:
        yield name, 0, 0, at, 0, 8
        yield name, 0, 8, at + 1, 0, 8

    layout = QUANTS[kind]
    if kind == Q6_K:
        for h in range(2):
            for g in range(2):
                yield from nibbles(64 * h + 32 * g, 128 * h + 32 * g, 32, 64)
            for i in range(128):
                yield "q", 128 * h + i, 4, 128 + 32 * h + i % 32, i // 32 * 2, 2
        for j in range(16):
            yield "part_scale", j, 0, 192 + j, 0, 8
        yield from half("scale", 208)
        return
    at = 0
    for name in ("scale", "offset") if layout.offset else ("scale",) if kind != INT8 else ():
        yield from half(name, at)
        at += 2
    if layout.bits == 8:
        for i in range(32):
            yield "q", i, 0, at + i, 0, 8
    if layout.parts:
        for j in range(4):
            yield "part_scale", j, 0, 4 + j, 0, 6
            yield "part_offset", j, 0, 8 + j, 0, 6
            yield "part_scale", j + 4, 0, 12 + j, 0, 4
            yield "part_scale", j + 4, 4, 4 + j, 6, 2
            yield "part_offset", j + 4, 0, 12 + j, 4, 4
            yield "part_offset", j + 4, 4, 8 + j, 6, 2
        at += 12
    if layout.bits == 5:
        for i in range(layout.weights):
            if layout.parts:
                yield "q", i, 4, at + i % 32, i // 32, 1
            else:
                yield "q", i, 4, at + i // 8, i % 8, 1
        at += 32 if layout.parts else 4
    if layout.bits < 8:
        group = 32 if layout.parts else 16
        for first in range(0, layout.weights, 2 * group):
            yield from nibbles(at + first // 2, first, group, group)


def _flip(kind: int, block: Block) -> None:
    """Signed fields in the order of integers without sign, and back."""
    if QUANTS[kind].bits == 8:
        block.q[:32] = [q ^ 128 for q in block.q[:32]]
    if kind == Q6_K:
        block.part_scale = [scale ^ 128 for scale in block.part_scale]


def taken_apart(kind: int, data: bytes) -> Block:
    block = Block()
    for name, index, to, at, shift, bits in places(kind):
        value = (data[at] >> shift & (1 << bits) - 1) << to
        if name in ("scale", "offset"):
            setattr(block, name, getattr(block, name) | value)
        else:
            getattr(block, name)[index] |= value
    _flip(kind, block)
    return block


def put_together(kind: int, block: Block) -> bytes:
    _flip(kind, block)
    data = bytearray(QUANTS[kind].bytes)
    for name, index, to, at, shift, bits in places(kind):
        value = getattr(block, name)
        value = value if name in ("scale", "offset") else value[index]
        data[at] |= (value >> to & (1 << bits) - 1) << shift
    _flip(kind, block)
    return bytes(data)


def half_magnitude(half: int) -> int:
    """Of an fp16 number, in units of 2^-24; exponent 31 goes on as a number."""
    exponent = half >> 10 & 31
    return (1024 + (half & 1023)) << (exponent - 1) if exponent else half & 1023


def ends_at_bf16(scale: int, offset: int, steps: int) -> bool:
    """Whether offset + steps * scale is as near to a number of 8 bits as the scale's rounding allows."""
    offset_sign, scale_sign = 1 - (offset >> 15) * 2, 1 - (scale >> 15) * 2
    top = abs(offset_sign * half_magnitude(offset) + steps * scale_sign * half_magnitude(scale))
    if top < 256:
        return True
    dropped = top.bit_length() - 8
    nearest = (top + (1 << dropped - 1)) >> dropped << dropped
    return 2 * abs(top - nearest) <= steps << max((scale >> 10 & 31) - 1, 0)


def quant_scale(kind: int, block: Block, part: int) -> tuple[int, int, int]:
    """Where a part's zero is, in quarters of a step, the level of a quarter of a step, and the step."""
    layout = QUANTS[kind]
    signed = half_magnitude(block.scale) * (-1 if block.scale >> 15 else 1)
    if kind == Q6_K:
        signed *= block.part_scale[part] - 128
    elif layout.parts:
        signed *= block.part_scale[part]
    step = abs(signed)
    zero = 2 << layout.bits
    if layout.offset:
        offset = half_magnitude(block.offset) * (block.part_offset[part] if layout.parts else 1)
        zero = min((8 * offset // max(1, step) + 1) >> 1, 8 << layout.bits)
        if not layout.parts and not block.offset >> 15:
            zero = -zero
    return zero, 608 + level_of(step), signed


@dataclass
class Kept:
    """What is kept of a block's scales: of the one before, and of those above."""

    scale_high: int = 0
    scale_low: int = 0
    offset_high: int = 0
    part_scale: list[int] = field(default_factory=lambda: [0] * 16)
    part_offset: list[int] = field(default_factory=lambda: [0] * 16)


class QuantScales:
    """The fields of blocks that are not their weights' integers. ``row``: blocks; ``blocks``: all of them."""

    def __init__(self, coder: Coder, kind: int, row: int, steps: int, blocks: Iterable[Block]) -> None:
        self.coder, self.layout, self.steps = coder, QUANTS[kind], steps
        self.above = [Kept() for _ in range(row)]
        shapes = {
            "scale_high": (8, (256,) * 3),
            "scale_low": (8, (256,) * 2),
            "offset_high": (8, (256,) * 3),
            "offset_low": (8, (256,) * 2),
            "at_ends": (1, (1,)),
            "part_scale": (8, (256, 256, 4096, 1024)),
            "part_offset": (6, (512, 4096, 64, 4096)),
        }
        counts = {name: [0] * 256 for name in shapes}
        for block in blocks:
            for name, value in (("scale", block.scale), ("offset", block.offset)):
                counts[f"{name}_high"][value >> 8] += 1
                counts[f"{name}_low"][value & 255] += 1
            if steps:
                counts["at_ends"][ends_at_bf16(block.scale, block.offset, steps)] += 1
            for j in range(self.layout.parts):
                counts["part_scale"][block.part_scale[j]] += 1
                counts["part_offset"][block.part_offset[j]] += 1
        self.fields = {
            name: Field(coder, bits, values, counts[name], or_noise=name.endswith("_low"))
            for name, (bits, values) in shapes.items()
        }
        self.left = Kept()
        self.at = 0

    def _code(self, name: str, contexts: tuple[int, ...], symbol: int) -> int:
        return self.fields[name].code(self.coder, contexts, symbol)

    def code(self, block: Block) -> None:
        above, left, layout = self.above[self.at], self.left, self.layout
        high = self._code(
            "scale_high",
            (left.scale_high, above.scale_high, (left.scale_high + above.scale_high) >> 1),
            block.scale >> 8,
        )
        if layout.offset:
            offset = self._code("offset_high", (high, above.offset_high, left.offset_high), block.offset >> 8)
            low = self._code("offset_low", (offset, (high & 15) << 4 | offset & 15), block.offset & 255)
            block.offset = offset << 8 | low
        low = self._scale_low(block, high)
        block.scale = high << 8 | low

        most = most_offset = 0
        for j in range(layout.parts):
            before = block.part_scale[j - 1] if j else left.part_scale[layout.parts - 1]
            over = above.part_scale[j]
            contexts = before, over, (before & 63) << 6 | over & 63, j << 6 | min(most, 63)
            block.part_scale[j] = self._code("part_scale", contexts, block.part_scale[j])
            most = max(most, block.part_scale[j])
        for j in range(layout.parts if layout.offset else 0):
            scale = block.part_scale[j] & 63
            before = block.part_offset[j - 1] if j else 0
            contexts = (
                j << 6 | most_offset,
                scale << 6 | before,
                above.part_offset[j],
                (most & 63) << 6 | scale,
            )
            block.part_offset[j] = self._code("part_offset", contexts, block.part_offset[j])
            most_offset = max(most_offset, block.part_offset[j])

        self.left = Kept(high, low, block.offset >> 8, block.part_scale[:], block.part_offset[:])
        self.above[self.at] = self.left
        self.at = (self.at + 1) % len(self.above)

    def _scale_low(self, block: Block, high: int) -> int:
        steps, low = self.steps, block.scale & 255
        if steps and self._code("at_ends", (0,), int(ends_at_bf16(block.scale, block.offset, steps))):
            candidates = [v for v in range(256) if ends_at_bf16(high << 8 | v, block.offset, steps)]
            if candidates:
                rank = candidates.index(low) if self.coder.encodes else 0
                return candidates[self.coder.uniform(rank, len(candidates))]
        contexts = high, self.left.scale_low if self.left.scale_high == high else 0
        return self._code("scale_low", contexts, low)
