"""Method 5: numbers element by element, through fields whose contexts know rows, columns and scales.

The twin of nczip/native/tensor.hpp; formats/tensor.md is the specification.
"""

from __future__ import annotations

from nczip.reference.field_coder import Coder, Decoder, Encoder, Field
from nczip.reference.quant_differences import QuantDifferenceModel
from nczip.reference.quants import Q8_0, QUANTS, Block, QuantScales, put_together, quant_scale, taken_apart
from nczip.reference.row_predictor import RowPredictor, relative_size
from nczip.reference.tensor_differences import DifferenceModel
from nczip.reference.tensor_scales import FLOATS, Scales, clip, level_of

HEAD = 6  # bytes before the coded stream
LEANINGS = 20


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
        self.predictor = RowPredictor(row, count)
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
            coder,
            min(self.exponent_bits, 8),
            (2048, 264, 256, 512, 512 * LEANINGS),
            exponent,
        )
        self.head = Field(coder, self.head_bits, (64, 256, 64, 289, 64 * LEANINGS), head)
        self.sign = Field(coder, 1, (16, 128, 64, 64), sign)
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
        expected, of_column = (clip(level, 0, 4095) for level in (scales.expected, scales.of_column))

        predicted, deviation = self.predictor.predicted, self.predictor.deviation
        leaning = min(abs(predicted) * 96 // deviation, LEANINGS - 1)
        around = clip(expected + self.predictor.narrower, 0, 4095)

        def beside(level: int) -> int:
            return clip((level - expected + 64) >> 4, 0, 7)

        high = self.high.code(coder, (self.last_high, self.high_before), high) if self.wide else 0
        exponent = self.exponent.code(
            coder,
            (
                expected >> 1,
                256 + high if high else self.left >> 4,
                column.above >> 4,
                beside(self.left) << 6 | beside(self.left_of_left) << 3 | beside(column.above),
                (around >> 3) * LEANINGS + leaning,
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
                clip((octave - around + 128) >> 2, 0, 63) * LEANINGS + leaning,
            ),
            head,
        )

        level = octave | head << (4 - self.head_bits)
        size = relative_size(level, expected)
        odds = min((size * abs(predicted) << 11) // deviation**2, 31)
        nearness = [clip((other - level + 32) >> 3, 0, 7) for other in (self.left, column.above)]
        negative = self.sign.code(
            coder,
            (
                (self.signs & 7) << 1 | column.negative,
                clip((column.sign >> 8) + 8, 0, 15) << 3 | clip((level - expected + 64) >> 3, 0, 7),
                nearness[0] << 3 | nearness[1],
                32 + (-odds if predicted < 0 else odds),
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
        self.predictor.update(-size if negative else size)
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


class QuantModel:
    def __init__(self, coder: Coder, kind: int, row: int, units: list[bytes], count: int) -> None:
        self.coder, self.kind, self.layout = coder, kind, QUANTS[kind]
        layout = self.layout
        self.scales = Scales(row, count * layout.weights)
        self.predictor = RowPredictor(row, count * layout.weights)
        blocks = [taken_apart(kind, unit) for unit in units]
        rows = max(1, min(row // layout.weights, count))
        self.of_blocks = QuantScales(coder, kind, rows, layout.steps, blocks)
        weights = [0] * 256
        for block in blocks:
            for q in block.q[: layout.weights]:
                weights[q] += 1
        zeros = 16 if layout.offset else 1
        values = zeros * 128, zeros * 256, 1024, 1024, 2048
        self.weight = Field(coder, layout.bits, values, weights)
        self.left_weight = self.left_of_left_weight = 0

    def unit(self, unit: bytes) -> bytes:
        block = taken_apart(self.kind, unit)
        self.of_blocks.code(block)
        part = self.layout.weights // max(1, self.layout.parts)
        for begin in range(0, self.layout.weights, part):
            self._weights(block, begin, part)
        return put_together(self.kind, block)

    def _weights(self, block: Block, begin: int, count: int) -> None:
        layout, scales = self.layout, self.scales
        bits = layout.bits
        zero, base, _ = quant_scale(self.kind, block, begin // count if layout.parts else 0)
        place = clip(zero >> (bits - 2), 0, 15) if layout.offset else 0
        is_turned = block.scale >> 15 == 1
        lowest, highest = int(self.kind == Q8_0), (1 << bits) - 1
        ends = total = 0
        for j in range(count):
            scale = scales.expected
            expected, of_column, around = (
                clip((level - base - 16) >> 2, 0, 31)
                for level in (scale, scales.of_column, scale + self.predictor.narrower)
            )
            octaves = clip(scale - base, 0, 175)
            off = (16 + octaves % 16 << octaves // 16) * self.predictor.predicted
            predicted = ((-off if is_turned else off) >> 9) + zero
            so_far = clip((level_of(total * 16 // j) - 40) >> 2, 0, 31) if j else 31
            q = self.weight.code(
                self.coder,
                (
                    place << 7 | j * 32 // count << 2 | ends,
                    place << 8 | self.left_weight >> (bits - 4) << 4 | self.left_of_left_weight >> (bits - 4),
                    clip((scales.column.sign >> 7) + 16, 0, 31) << 5 | of_column,
                    so_far << 5 | expected,
                    clip(predicted >> max(bits - 4, 0), 0, 63) << 5 | around,
                ),
                block.q[begin + j],
            )
            block.q[begin + j] = q
            ends |= (q <= lowest) << 1 | (q == highest)
            from_zero = 4 * q - zero
            total += abs(from_zero)
            self.left_of_left_weight, self.left_weight = self.left_weight, q
            level = base + level_of(abs(from_zero))
            negative = (from_zero < 0) != is_turned
            relative = relative_size(level, scale) if from_zero else 0
            scales.update(level, negative)
            self.predictor.update(-relative if negative else relative)


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
    model: DifferenceModel | FloatModel | QuantDifferenceModel | QuantModel
    if reference is not None and kind in QUANTS:
        model = QuantDifferenceModel(coder, kind, units, cut(reference, 0))
    elif reference is not None:
        model = DifferenceModel(coder, kind, row, units, cut(reference, 0))
    else:
        model = (QuantModel if kind in QUANTS else FloatModel)(coder, kind, row, units, count)

    def plain(begin: int, end: int) -> bytes:
        return bytes(coder.uniform(raw[i] if coder.encodes else 0, 256) for i in range(begin, end))

    out = plain(0, min(phase, raw_size))
    for i in range(count):
        out += model.unit(units[i] if coder.encodes else bytes(width))
    return out + plain(len(out), raw_size)
