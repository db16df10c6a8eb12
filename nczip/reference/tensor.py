"""Method 5: numbers element by element, through fields whose contexts know rows, columns and scales.

The twin of nczip/native/tensor.hpp and quants.hpp; formats/tensor.md is the specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from nczip.reference.field_coder import Coder, Decoder, Encoder, Field
from nczip.reference.tensor_differences import DifferenceModel
from nczip.reference.tensor_scales import FLOATS, Scales, clip, level_of

INT8, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K = range(6, 15)
HEAD = 6  # bytes before the coded stream


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


def unit_bytes(kind: int) -> int:
    return QUANTS[kind].bytes if kind in QUANTS else (1 + sum(FLOATS[kind])) // 8


# ---- floats


class FloatModel:
    def __init__(self, coder: Coder, kind: int, row: int, units: list[bytes], count: int) -> None:
        self.coder = coder
        self.width = unit_bytes(kind)
        self.exponent_bits, self.mantissa_bits = FLOATS[kind]
        self.head_bits = min(self.mantissa_bits, 4)
        self.wide = self.exponent_bits > 8
        self.scales = Scales(row, count)
        self.tails: list[tuple[int, int]] = []  # bits, shift
        rest = self.mantissa_bits - self.head_bits
        while rest > 0:
            self.tails.append((min(rest, 8), rest - min(rest, 8)))
            rest = self.tails[-1][1]
        parts = [self._parts(int.from_bytes(unit, "little")) for unit in units]
        counts = [_counted(values) for values in zip(*parts, strict=True)] or [[0] * 256] * (
            4 + len(self.tails)
        )
        high, exponent, sign, head, *tails = counts
        if self.wide:
            self.high = Field(coder, 3, (8, 8), high)
        self.exponent = Field(
            coder, min(self.exponent_bits, 8), (2048, 1024, 1024, 264, 256, 512, 512), exponent
        )
        self.head = Field(coder, self.head_bits, (64, 256, 64, 289), head)
        self.sign = Field(coder, 1, (16, 128, 64), sign)
        self.tail_fields = [
            Field(coder, bits, (256, 256, 256), histogram, or_noise=True)
            for (bits, _), histogram in zip(self.tails, tails, strict=True)
        ]
        self.last_tails = [0] * len(self.tails)
        self.left = self.left_of_left = self.left_head = self.signs = self.last_high = self.high_before = 0

    def _parts(self, value: int) -> list[int]:
        """Upper and lower part of the exponent, sign, the mantissa's first bits, the rest of it."""
        exponent = value >> self.mantissa_bits & (1 << self.exponent_bits) - 1
        if self.wide:
            exponent = (exponent + 1152) & 2047
        head = value >> (self.mantissa_bits - self.head_bits) & (1 << self.head_bits) - 1
        sign = value >> (self.mantissa_bits + self.exponent_bits)
        return [
            exponent >> 8,
            exponent & 255,
            sign,
            head,
            *(value >> shift & (1 << bits) - 1 for bits, shift in self.tails),
        ]

    def unit(self, unit: bytes) -> bytes:
        high, low, negative, head, *tails = self._parts(int.from_bytes(unit, "little"))
        coder, scales, column = self.coder, self.scales, self.scales.column
        expected, of_column, near = (
            clip(level, 0, 4095) for level in (scales.expected, scales.of_column, scales.near)
        )

        def beside(level: int) -> int:
            return clip((level - expected + 64) >> 4, 0, 7)

        high = self.high.code(coder, (self.last_high, self.high_before), high) if self.wide else 0
        exponent = self.exponent.code(
            coder,
            (
                expected >> 1,
                of_column >> 2,
                near >> 2,
                256 + high if high else self.left >> 4,
                column.above >> 4,
                clip((scales.row_factor >> 8 >> 2) + 8, 0, 15) << 5
                | clip(((of_column - near) >> 2) + 16, 0, 31),
                beside(self.left) << 6 | beside(self.left_of_left) << 3 | beside(column.above),
            ),
            low,
        )

        octave = exponent << 4
        like_left = 1 + self.left_head if self.left >> 4 == exponent else 0
        like_above = 1 + column.mantissa if column.above >> 4 == exponent else 0
        head = self.head.code(
            coder,
            (
                clip((octave - expected + 128) >> 2, 0, 63),
                exponent,
                clip((octave - of_column + 128) >> 2, 0, 63),
                like_left * 17 + like_above,
            ),
            head,
        )

        level = octave | head << (4 - self.head_bits)
        nearness = [clip((other - level + 32) >> 3, 0, 7) for other in (self.left, column.above)]
        negative = self.sign.code(
            coder,
            (
                (self.signs & 7) << 1 | column.negative,
                clip((column.sign >> 8) + 8, 0, 15) << 3 | clip((level - expected + 64) >> 3, 0, 7),
                nearness[0] << 3 | nearness[1],
            ),
            negative,
        )

        stored = high << 8 | exponent
        if self.wide:
            stored = (stored - 1152) & 2047
        value = (negative << self.exponent_bits | stored) << self.mantissa_bits
        value |= head << (self.mantissa_bits - self.head_bits)
        before = head
        for t, (_, shift) in enumerate(self.tails):
            contexts = before, self.last_tails[t], exponent
            before = self.last_tails[t] = self.tail_fields[t].code(coder, contexts, tails[t])
            value |= before << shift

        column.mantissa = head
        scales.update(level, negative == 1)
        self.signs = self.signs << 1 & 7 | negative
        self.left_of_left, self.left, self.left_head = self.left, level, head
        self.high_before, self.last_high = self.last_high, high
        return value.to_bytes(self.width, "little")


def _counted(values: tuple[int, ...]) -> list[int]:
    counts = [0] * 256
    for value in values:
        counts[value] += 1
    return counts


# ---- quants


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


def quant_scale(kind: int, block: Block, part: int) -> tuple[int, int]:
    """Where a part's zero is, in quarters of a step, and the level of a quarter of a step."""
    layout = QUANTS[kind]
    step = half_magnitude(block.scale)
    if kind == Q6_K:
        step *= abs(block.part_scale[part] - 128)
    elif layout.parts:
        step *= block.part_scale[part]
    zero = 2 << layout.bits
    if layout.offset:
        offset = half_magnitude(block.offset) * (block.part_offset[part] if layout.parts else 1)
        zero = min((8 * offset // max(1, step) + 1) >> 1, 8 << layout.bits)
        if not layout.parts and not block.offset >> 15:
            zero = -zero
    return zero, 608 + level_of(step)


@dataclass
class Kept:
    """What is kept of a block's scales: of the one before, and of those above."""

    scale_high: int = 0
    scale_low: int = 0
    offset_high: int = 0
    part_scale: list[int] = field(default_factory=lambda: [0] * 16)
    part_offset: list[int] = field(default_factory=lambda: [0] * 16)


class QuantModel:
    def __init__(self, coder: Coder, kind: int, row: int, units: list[bytes], count: int) -> None:
        self.coder, self.kind, self.layout = coder, kind, QUANTS[kind]
        layout = self.layout
        self.scales = Scales(row, count * layout.weights)
        self.above = [Kept() for _ in range(max(1, min(row // layout.weights, count)))]
        names = (
            "scale_high",
            "scale_low",
            "offset_high",
            "offset_low",
            "at_ends",
            "part_scale",
            "part_offset",
            "weight",
        )
        counts = {name: [0] * 256 for name in names}
        for unit in units:
            block = taken_apart(kind, unit)
            for name, value in (("scale", block.scale), ("offset", block.offset)):
                counts[f"{name}_high"][value >> 8] += 1
                counts[f"{name}_low"][value & 255] += 1
            if layout.steps:
                counts["at_ends"][ends_at_bf16(block.scale, block.offset, layout.steps)] += 1
            for j in range(layout.parts):
                counts["part_scale"][block.part_scale[j]] += 1
                counts["part_offset"][block.part_offset[j]] += 1
            for q in block.q[: layout.weights]:
                counts["weight"][q] += 1
        zeros, few_zeros = (64, 16) if layout.offset else (1, 1)
        shapes = {
            "scale_high": (8, (256,) * 3),
            "scale_low": (8, (256,) * 2),
            "offset_high": (8, (256,) * 3),
            "offset_low": (8, (256,) * 2),
            "at_ends": (1, (1,)),
            "part_scale": (8, (256, 256, 4096, 1024)),
            "part_offset": (6, (512, 4096, 64, 4096)),
            "weight": (
                layout.bits,
                (zeros * 32, zeros * 32, few_zeros * 128, few_zeros * 256, 1024, 1024),
            ),
        }
        self.fields = {
            name: Field(coder, bits, values, counts[name], or_noise=name.endswith("_low"))
            for name, (bits, values) in shapes.items()
        }
        self.left = Kept()
        self.at = self.left_weight = self.left_of_left_weight = 0

    def unit(self, unit: bytes) -> bytes:
        block = taken_apart(self.kind, unit)
        self._scales(block)
        part = self.layout.weights // max(1, self.layout.parts)
        for begin in range(0, self.layout.weights, part):
            self._weights(block, begin, part)
        self.at = (self.at + 1) % len(self.above)
        return put_together(self.kind, block)

    def _code(self, name: str, contexts: tuple[int, ...], symbol: int) -> int:
        return self.fields[name].code(self.coder, contexts, symbol)

    def _scales(self, block: Block) -> None:
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

    def _scale_low(self, block: Block, high: int) -> int:
        steps, low = self.layout.steps, block.scale & 255
        if steps and self._code("at_ends", (0,), int(ends_at_bf16(block.scale, block.offset, steps))):
            candidates = [v for v in range(256) if ends_at_bf16(high << 8 | v, block.offset, steps)]
            if candidates:
                rank = candidates.index(low) if self.coder.encodes else 0
                return candidates[self.coder.uniform(rank, len(candidates))]
        contexts = high, self.left.scale_low if self.left.scale_high == high else 0
        return self._code("scale_low", contexts, low)

    def _weights(self, block: Block, begin: int, count: int) -> None:
        layout, scales = self.layout, self.scales
        bits = layout.bits
        zero, base = quant_scale(self.kind, block, begin // count if layout.parts else 0)
        place = clip(zero >> (bits - 4), 0, 63) if layout.offset else 0
        lowest, highest = int(self.kind == Q8_0), (1 << bits) - 1
        ends = total = 0
        for j in range(count):
            expected, of_column = (
                clip((level - base - 16) >> 2, 0, 31) for level in (scales.expected, scales.of_column)
            )
            so_far = clip((level_of(total * 16 // j) - 40) >> 2, 0, 31) if j else 31
            q = self._code(
                "weight",
                (
                    place << 5 | expected,
                    place << 5 | so_far,
                    place >> 2 << 7 | j * 32 // count << 2 | ends,
                    place >> 2 << 8
                    | self.left_weight >> (bits - 4) << 4
                    | self.left_of_left_weight >> (bits - 4),
                    clip((scales.column.sign >> 7) + 16, 0, 31) << 5 | of_column,
                    so_far << 5 | expected,
                ),
                block.q[begin + j],
            )
            block.q[begin + j] = q
            ends |= (q <= lowest) << 1 | (q == highest)
            from_zero = 4 * q - zero
            total += abs(from_zero)
            self.left_of_left_weight, self.left_weight = self.left_weight, q
            scales.update(base + level_of(abs(from_zero)), (from_zero < 0) != (block.scale >> 15 == 1))


# ---- blocks


def pack(raw: bytes, kind: int, phase: int, row: int, reference: bytes | None = None) -> bytes:
    """``reference``: bytes of the units that those of the block are coded by."""
    coder = Encoder()
    _code(coder, raw, len(raw), kind, phase, row, reference)
    return bytes([kind, phase]) + row.to_bytes(4, "little") + coder.range.finish()


def unpack(packed: bytes, raw_size: int, reference: bytes | None = None) -> bytes:
    kind, phase, row = packed[0], packed[1], int.from_bytes(packed[2:HEAD], "little")
    return _code(Decoder(packed[HEAD:]), b"", raw_size, kind, phase, row, reference)


def _code(
    coder: Encoder | Decoder,
    raw: bytes,
    raw_size: int,
    kind: int,
    phase: int,
    row: int,
    reference: bytes | None,
) -> bytes:
    width = unit_bytes(kind)
    count = max(0, raw_size - phase) // width

    def cut(data: bytes, begin: int) -> list[bytes]:
        return [data[start : start + width] for start in range(begin, begin + count * width, width)]

    units = cut(raw, phase) if coder.encodes else []
    model: DifferenceModel | FloatModel | QuantModel
    if reference is not None:
        model = DifferenceModel(coder, kind, row, units, cut(reference, 0))
    else:
        model = (QuantModel if kind in QUANTS else FloatModel)(coder, kind, row, units, count)

    def plain(begin: int, end: int) -> bytes:
        return bytes(coder.uniform(raw[i] if coder.encodes else 0, 256) for i in range(begin, end))

    out = plain(0, min(phase, raw_size))
    for i in range(count):
        out += model.unit(units[i] if coder.encodes else bytes(width))
    return out + plain(len(out), raw_size)
