"""Blocks of quants beside those of a reference, by how far they are from it with scales of their own.

The twin of nczip/native/quant_differences.hpp; formats/tensor.md is the specification.
"""

from __future__ import annotations

from collections.abc import Callable

from nczip.reference.field_coder import Coder, Field
from nczip.reference.quants import Q6_K, QUANTS, Block, QuantScales, put_together, quant_scale, taken_apart
from nczip.reference.tensor_scales import Scales, clip, level_of


def folded(value: int, origin: int, bits: int) -> int:
    """How far a value is from another, modulo 2^bits: 0, -1, 1, -2, 2 and so on as 0 to 4."""
    d = (value - origin) % (1 << bits)
    return 2 * ((1 << bits) - d) - 1 if d >> (bits - 1) else 2 * d


def unfolded(distance: int, origin: int, bits: int) -> int:
    return (origin + (-(distance + 1) // 2 if distance % 2 else distance // 2)) % (1 << bits)


class QuantDifferenceModel:
    def __init__(self, coder: Coder, kind: int, units: list[bytes], reference: list[bytes]) -> None:
        self.coder, self.kind, self.layout = coder, kind, QUANTS[kind]
        self.part = self.layout.weights // max(1, self.layout.parts)
        self.reference = reference
        self.scales = Scales(0, len(reference) * self.layout.weights)
        same, distances, moved = [0, 0], [0] * 256, []
        for unit, other in zip(units, reference, strict=False):
            same[unit == other] += 1
            if unit == other:
                continue
            block, origin = taken_apart(kind, unit), taken_apart(kind, other)
            moved.append(self._each_scale(block, origin, folded))
            for j in range(self.layout.weights):
                aimed = self._aim(block, origin, j)
                distances[folded(block.q[j], aimed >> 4, self.layout.bits)] += 1
        self.same = Field(coder, 1, (256,), same)
        self.of_blocks = QuantScales(coder, kind, 1, 0, moved)
        self.distance = Field(coder, self.layout.bits, (1024,) * 4, distances)
        self.at = self.last_blocks = self.left = self.left_of_left = 0

    def unit(self, unit: bytes) -> bytes:
        other = self.reference[self.at]
        self.at += 1
        is_same = self.same.code(self.coder, (self.last_blocks,), int(unit == other))
        self.last_blocks = (self.last_blocks << 1 | is_same) & 255
        if is_same:
            return other
        block, origin = taken_apart(self.kind, unit), taken_apart(self.kind, other)
        distances = self._each_scale(block, origin, folded)
        self.of_blocks.code(distances)
        scales = self._each_scale(distances, origin, unfolded)
        scales.q = block.q
        for j in range(self.layout.weights):
            self._weight(scales, origin, j)
        return put_together(self.kind, scales)

    def _each_scale(self, block: Block, origin: Block, call: Callable[[int, int, int], int]) -> Block:
        bits = 8 if self.kind == Q6_K else 6
        made = Block(call(block.scale, origin.scale, 16), call(block.offset, origin.offset, 16))
        for j in range(self.layout.parts):
            made.part_scale[j] = call(block.part_scale[j], origin.part_scale[j], bits)
            made.part_offset[j] = call(block.part_offset[j], origin.part_offset[j], bits)
        return made

    def _aim(self, block: Block, origin: Block, j: int) -> int:
        """In sixteenths of the block's integers, and eight more."""
        part = j // self.part if self.layout.parts else 0
        zero, _, step = quant_scale(self.kind, block, part)
        other_zero, _, other_step = quant_scale(self.kind, origin, part)
        step, product = step or 1, (16 * origin.q[j] - 4 * other_zero) * (other_step or 1)
        steps = abs(product) // abs(step) * (-1 if (product < 0) != (step < 0) else 1)
        return clip(steps + 4 * zero, 0, (16 << self.layout.bits) - 16) + 8

    def _weight(self, block: Block, origin: Block, j: int) -> None:
        bits = self.layout.bits
        aimed = self._aim(block, origin, j)
        nearest, fraction = aimed >> 4, aimed & 15
        _, base, _ = quant_scale(self.kind, block, j // self.part if self.layout.parts else 0)
        expected, near = (
            clip((level - base + 32) >> 2, 0, 63) << 4 | fraction
            for level in (self.scales.expected, self.scales.near)
        )
        contexts = (
            fraction << 6 | nearest >> max(bits - 6, 0),
            fraction << 6 | min(self.left, 7) << 3 | min(self.left_of_left, 7),
            expected,
            near,
        )
        distance = self.distance.code(self.coder, contexts, folded(block.q[j], nearest, bits))
        block.q[j] = unfolded(distance, nearest, bits)
        self.left_of_left, self.left = self.left, (distance + 1) // 2
        self.scales.update(base + level_of(abs(16 * block.q[j] + 8 - aimed)))
