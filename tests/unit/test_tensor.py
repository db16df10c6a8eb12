"""Method 5: the core's tensors, alone and against the reference, and what decides where they are used."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from numbers_made import ARRAYS, bf16, e4m3, weights

from nczip import _core, blocks, inspection, levels, tensors
from nczip.container import MIXTURE, TENSOR
from nczip.errors import CorruptError
from nczip.layout import Hint
from nczip.reference import field_coder, quants, row_predictor
from nczip.reference import tensor as reference

KINDS = range(len(tensors.KINDS))
NOISE = random.Random(1).randbytes(3000)
FLOATS = {
    "BF16": "bf16",
    "F16": "fp16",
    "F32": "fp32",
    "F64": "fp64",
    "F8_E4M3": "fp8_e4m3",
    "F8_E5M2": "fp8_e5m2",
}


def no_step(raw: int, packed: int) -> None:
    pass


def packed(raw: bytes, kind: int, phase: int = 0, row: int = 0, step: int = 1 << 30) -> bytes:
    encoder = _core.TensorEncoder(raw, kind, phase, row)
    done = 0
    while done < len(raw):
        done = encoder.advance(step)
    return encoder.finish()


def unpacked(data: bytes, raw_size: int, step: int = 1 << 30) -> bytes:
    decoder = _core.TensorDecoder(data, raw_size)
    content = b""
    while len(content) < raw_size:
        content += decoder.decode(step)
    return content


def q4_1(count: int, row: int = 256) -> bytes:
    """Blocks as ggml makes them of bf16 weights, whose columns have scales of their own."""
    columns = 1 + np.arange(row) % 7
    values = (weights(32 * count).reshape(-1, row) * columns).astype("<f4")
    ends = (values.view("<u4") & 0xFFFF0000).view("<f4").reshape(-1, 32)
    low, high = ends.min(axis=1), ends.max(axis=1)
    scale = ((high - low) / np.float32(15)).astype("<f2")
    q = np.clip(np.round((ends - low[:, None]) / np.float32((high - low) / 15)[:, None]), 0, 15).astype("u1")
    nibbles = q[:, :16] | q[:, 16:] << 4
    parts = (scale[:, None].view("u1"), low.astype("<f2")[:, None].view("u1"), nibbles)
    return np.concatenate(parts, axis=1).tobytes()


def of_kind(kind: int) -> bytes:
    """About 3,000 bytes that are plausible for a kind."""
    name = tensors.KINDS[kind]
    if name in FLOATS:
        return bytes(ARRAYS[FLOATS[name]].tobytes()[:3000])
    if name == "Q4_1":
        return q4_1(160)[:3000]
    unit = bytearray(NOISE[: tensors.UNITS[kind]])
    content = bytearray()
    for i in range(3000 // len(unit)):
        unit[:2] = np.float16(0.01 + i % 5 / 1000).tobytes()
        unit[5:9] = NOISE[4 * i : 4 * i + 4]
        content += unit
    return bytes(content)


@pytest.mark.parametrize("kind", KINDS)
def test_same_as_the_reference(kind: int) -> None:
    name = tensors.KINDS[kind]
    for raw, phase, row in (
        (of_kind(kind), 0, 64),
        (NOISE[:1000], tensors.UNITS[kind] - 1, 0),
        (bytes(500), 0, 7),
    ):
        made = packed(raw, kind, phase, row)
        assert made == reference.pack(raw, kind, phase, row), name
        assert unpacked(made, len(raw)) == raw
        if len(raw) <= 1000:
            assert reference.unpack(made, len(raw)) == raw


def channels(rows: int, columns: int, like: float = 0.75) -> np.ndarray:
    """Values in bfloat16 that are like those before them in their rows."""
    values = weights(rows * columns).reshape(rows, columns)
    for column in range(1, columns):
        values[:, column] += values[:, column - 1] * np.float32(like)
    return bf16(values)


@pytest.mark.parametrize(
    ("rows", "columns", "like"),
    [
        pytest.param(31, 5, 1.0, id="too few rows"),
        pytest.param(129, 2, 0.75, id="two columns"),
        pytest.param(150, 17, 0.75, id="factored again and again"),
        pytest.param(100, 9, 1000.0, id="columns that are others' multiples"),
        pytest.param(34, 515, 1.0, id="two groups of columns"),
    ],
)
def test_predicted_from_the_row(rows: int, columns: int, like: float) -> None:
    raw = channels(rows, columns, like).tobytes()
    made = packed(raw, 0, 0, columns)
    assert made == reference.pack(raw, 0, 0, columns)
    assert unpacked(made, len(raw), step=100) == raw


@pytest.mark.parametrize("kind", ["F8_E4M3", "F64", "Q8_0", "Q4_1", "Q5_K", "Q6_K"])
def test_predicted_whatever_the_kind(kind: str) -> None:
    number = tensors.KINDS.index(kind)
    raw = of_kind(number)
    elements = len(raw) // tensors.UNITS[number] * (quants.QUANTS[number].weights if kind[0] == "Q" else 1)
    row = elements // 40
    made = packed(raw, number, 0, row)
    assert made == reference.pack(raw, number, 0, row)
    assert unpacked(made, len(raw)) == raw


def test_what_the_row_predicts_is_less() -> None:
    raw = channels(4000, 64).tobytes()
    shuffled = np.random.default_rng(1).permuted(channels(4000, 64), axis=0).tobytes()
    assert len(packed(raw, 0, 0, 64)) < 0.96 * len(packed(shuffled, 0, 0, 64))


def test_more_rows_than_moments_have_room_for() -> None:
    raw = e4m3(weights(66_000) * 8).tobytes()
    made = packed(raw, 4, 0, 2)
    assert made == reference.pack(raw, 4, 0, 2)
    assert unpacked(made, len(raw)) == raw


def test_halved_moments_need_not_be_positive_definite() -> None:
    """Weights are numbers within their bounds all the same."""
    group = row_predictor._Group(40)
    group.moments[:] = -np.ones((40, 40), np.int64)
    np.fill_diagonal(group.moments, 1)
    group.moments[32:, :32] = group.moments[:32, 32:] = 0
    group.counted = 20_000
    group._factor()
    assert np.abs(group.weights).max() <= row_predictor.MOST_WEIGHT


def test_more_columns_than_are_predicted() -> None:
    raw = channels(33, 8200).tobytes()
    assert unpacked(packed(raw, 0, 0, 8200), len(raw)) == raw


def test_tables_are_those_of_the_functions() -> None:
    for x in range(-2815, 2816, 5):
        exact = 65536 / (1 + np.exp(-x / 256))
        assert abs(field_coder.SQUASH[x + 2815] - exact) < 1.05
    for i in range(64, 4032, 7):
        exact = 256 * np.log((i + 0.5) / (4095.5 - i))
        assert abs(field_coder.STRETCH[i] - exact) < 1.5
    for value in (1, 2, 3, 1000, 2**28 - 1, 2**40 + 12345):
        assert 0 <= np.log2(value) * 65536 - field_coder.log2_fixed(value) < 2


@pytest.mark.parametrize("kind", KINDS)
def test_any_size_phase_and_row(kind: int) -> None:
    unit = tensors.UNITS[kind]
    for size in (0, 1, unit - 1, unit, unit + 1, 2 * unit + 1, 1000):
        for phase, row in ((0, 1 << 20), (unit // 2, 3), (unit - 1, 0)):
            raw = NOISE[:size]
            assert unpacked(packed(raw, kind, phase, row, step=1), size, step=1) == raw


@pytest.mark.parametrize("kind", KINDS[7:])
def test_taken_apart_loses_nothing(kind: int) -> None:
    for begin in range(0, 2000, 97):
        block = NOISE[begin : begin + tensors.UNITS[kind]]
        assert quants.put_together(kind, quants.taken_apart(kind, block)) == block


def test_weights_of_q4_1_are_where_ggml_has_them() -> None:
    block = quants.taken_apart(quants.Q4_1, q4_1(8)[:20])
    zero, scale = block.offset, block.scale
    assert min(block.q[:32]) == 0
    assert max(block.q[:32]) == 15
    assert quants.ends_at_bf16(scale, zero, 15)


@pytest.mark.parametrize(
    ("kind", "phase", "row"), [(-1, 0, 0), (15, 0, 0), (0, 2, 0), (8, 20, 0), (0, 0, (1 << 20) + 1)]
)
def test_kinds_phases_and_rows_that_do_not_exist(kind: int, phase: int, row: int) -> None:
    with pytest.raises(ValueError, match="no such"):
        _core.TensorEncoder(bytes(100), kind, phase, row)
    if kind >= 0:
        head = bytes([kind, phase]) + row.to_bytes(4, "little")
        with pytest.raises(ValueError, match="not a tensor"):
            _core.TensorDecoder(head + bytes(100), 100)


@pytest.mark.parametrize("kind", KINDS)
def test_other_streams_decode_to_something_or_end(kind: int) -> None:
    state = random.Random(kind)
    for size in (0, 5, 6, 7, 50, 2000):
        data = bytes([kind, 0, 64, 0, 0, 0]) + state.randbytes(size)
        try:
            content = unpacked(data[: size + 6], 5000)
        except ValueError as error:
            assert "end before" in str(error)  # noqa: PT017
        else:
            assert len(content) == 5000


def test_claims_cost_no_more_than_they_hold() -> None:
    """A quarter gigabyte is claimed and seven bytes are there: that is found out in the first step."""
    started = time.process_time()
    with pytest.raises(CorruptError, match="end before"):
        tensors.unpack(bytes([2, 0, 0, 0, 16, 0]) + b"\x7f", 1 << 28, no_step)
    assert time.process_time() - started < 60  # against endless work; it takes a fraction of a second


def test_scales_that_end_at_bf16_cost_less() -> None:
    exact = q4_1(2000)
    other = bytearray(exact)
    other[0::20] = bytes(b ^ 1 for b in other[0::20])  # the next scale hardly ever does
    assert len(packed(exact, 8)) < len(packed(bytes(other), 8)) - 100


def test_columns_help() -> None:
    raw = q4_1(4000)
    assert len(packed(raw, 8, row=256)) < 0.98 * len(packed(raw, 8))


@pytest.mark.parametrize("name", [*FLOATS, "Q4_1"])
def test_numbers_are_found(name: str) -> None:
    raw = q4_1(4000) if name == "Q4_1" else ARRAYS[FLOATS[name]].tobytes()
    found = tensors.guess(memoryview(b"x" + raw))
    assert found is not None
    assert tensors.KINDS[found.kind] == name
    assert found.phase == 1 % tensors.UNITS[found.kind]


def test_rows_are_found() -> None:
    for row in (17, 96, 256):
        columns = 0.2 + np.random.Generator(np.random.PCG64(2)).random(row)
        values = weights(row * 500).reshape(-1, row) * columns
        assert _core.tensor_row(values.astype("<f4").tobytes(), 2, 0) == row
    assert _core.tensor_row(weights(1 << 17).tobytes(), 2, 0) == 0


def test_hints_are_taken() -> None:
    raw = memoryview(ARRAYS["bf16"].tobytes())
    assert tensors.guess(raw, Hint("F16", 384)) == tensors.Elements(1, 0, 384)
    assert tensors.guess(raw, Hint("F16", 1 << 30)) == tensors.Elements(1, 0, 0)
    assert tensors.guess(raw, Hint("IQ4_NL", 32)) == tensors.guess(raw)
    assert tensors.guess(raw[:100], Hint("F16", 384)) is None


def test_text_is_none() -> None:
    text = (" ".join(f"record {i}, worth {i * i}" for i in range(5000))).encode()
    assert tensors.guess(memoryview(text)) is None


@pytest.mark.parametrize(
    ("content", "method"), [(ARRAYS["bf16"].tobytes(), TENSOR), (b"words " * 9000, MIXTURE)]
)
def test_choice(content: bytes, method: int) -> None:
    plan = levels.plan(5)
    packed = blocks.pack(plan.methods, 5, content, no_step)
    assert packed.method.id == method
    assert inspection.METHOD_NAMES[packed.method.id] in ("tensor", "mixture")


def test_rows_that_repeat_go_by_the_mixture() -> None:
    content = bytes(np.tile(ARRAYS["bf16"][:1000], 60).tobytes())
    packed = blocks.pack(levels.plan(5).methods, 5, content, no_step, Hint("BF16", 1000))
    assert packed.method.id == MIXTURE


def test_noise_is_given_up() -> None:
    noise = random.Random(3).randbytes(2 << 20)
    assert tensors.pack(memoryview(noise), tensors.Elements(0, 0, 0), no_step) is None


def test_no_table_has_more_than_memory_says() -> None:
    """The most contexts, each of the most questions, of all fields together."""
    weight = 4 * (16 * 128 + 16 * 256 + 2 * 1024 + 64 * 32) * 31
    parts = 4 * (255 * (256 + 256 + 4096 + 1024) + 63 * (512 + 4096 + 64 + 4096))
    scales = 4 * 255 * (3 * 256 + 2 * 256) * 2
    assert weight + parts + scales < tensors.memory(0)
    exponent = 4 * 255 * (2048 + 264 + 256 + 512 + 512 * 20)
    tails = 6 * 4 * 255 * 3 * 256
    assert exponent + tails < tensors.memory(0)
    predictor = (
        16 * 512 * 512 * (4 + 2) + 512 * 512 * 4
    )  # of 8192 columns in groups, and what one is factored in
    assert exponent + tails + predictor < tensors.memory(8192 * 32)
