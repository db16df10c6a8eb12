"""The range coder against the queue coder of ``constriction``, both ways, and against the reference."""

from __future__ import annotations

from random import Random

import constriction
import numpy as np
import pytest
from core_stages import PATHS, on_path

from nczip import _core
from nczip.reference.range_coder import RangeDecoder, RangeEncoder

stages = _core.stages

TOTAL = 1 << 24
Intervals = list[tuple[int, int]]


def random_intervals(seed: int, count: int) -> Intervals:
    """Widths of every size."""
    random = Random(seed)
    widths = [int((TOTAL - 1) ** random.random()) for _ in range(count)]
    return [(random.randint(0, TOTAL - width), width) for width in widths]


INTERVALS: dict[str, Intervals] = {
    "none": [],
    "one": [(12345, 678)],
    "random": random_intervals(1, 5000),
    "lowest": [(0, 1)] * 100,
    "highest": [(TOTAL - 1, 1)] * 100,
    # The lower end comes to just below a carry, stays there for long, and goes over or does not.
    "carry": [(TOTAL // 3, 1), *[(TOTAL - 1, 1)] * 40, (TOTAL // 2, TOTAL // 2)],
    "likely": [(1, TOTAL - 1)] * 20000,
}
CARRIES = {
    f"carry {seed}": [*random_intervals(seed, 3), *[(TOTAL - 2, 2)] * 30, (TOTAL - 1, 1)] for seed in range(9)
}
INTERVALS |= CARRIES
CASES = pytest.mark.parametrize("intervals", INTERVALS.values(), ids=INTERVALS.keys())


def columns(intervals: Intervals) -> tuple[bytes, bytes]:
    array = np.array(intervals, np.uint32).reshape(-1, 2)
    return array[:, 0].tobytes(), array[:, 1].tobytes()


def words_of(packed: bytes) -> np.ndarray:
    """As ``constriction`` has them: 32 bits each, and at least two."""
    padding = max(8 - len(packed), -len(packed) % 4)
    return np.frombuffer(packed + bytes(padding), ">u4").astype(np.uint32)


def symbol_and_model(left: int, width: int) -> tuple[int, constriction.stream.model.Model]:
    """The interval as one symbol of a model that has at most three, with exactly these counts."""
    counts = [count for count in (left, width, TOTAL - left - width) if count]
    model = constriction.stream.model.Categorical(np.array(counts, np.float64) - 1, perfect=False)
    return int(left > 0), model


def reference_packed(intervals: Intervals) -> bytes:
    coder = RangeEncoder()
    for left, width in intervals:
        coder.encode(left, width)
    return coder.finish()


@pytest.mark.parametrize("path", PATHS)
def test_pinned(path: str) -> None:
    """A change of any bit changes what archives mean."""
    packed = on_path(path, "encode", *columns(random_intervals(7, 12)))
    assert packed.hex() == "6cad56e2de2daef23a52334e257d8927874f99bddf2372e0fd068d"


@CASES
def test_the_reference_packs_the_same(intervals: Intervals) -> None:
    assert stages.encode(*columns(intervals)) == reference_packed(intervals)


@CASES
def test_constriction_reads_our_words(intervals: Intervals) -> None:
    decoder = constriction.stream.queue.RangeDecoder(words_of(stages.encode(*columns(intervals))))
    for left, width in intervals:
        symbol, model = symbol_and_model(left, width)
        assert decoder.decode(model) == symbol


@CASES
def test_we_read_the_words_of_constriction(intervals: Intervals) -> None:
    encoder = constriction.stream.queue.RangeEncoder()
    for left, width in intervals:
        encoder.encode(*symbol_and_model(left, width))
    packed = encoder.get_compressed().astype(">u4").tobytes()
    points = np.frombuffer(stages.decode(packed, *columns(intervals)), np.uint32)
    decoder = RangeDecoder(packed)
    for point, (left, width) in zip(points, intervals, strict=True):
        assert left <= point < left + width
        assert decoder.peek() == point
        decoder.take(left, width)


@CASES
def test_no_longer_than_what_constriction_writes(intervals: Intervals) -> None:
    encoder = constriction.stream.queue.RangeEncoder()
    for left, width in intervals:
        encoder.encode(*symbol_and_model(left, width))
    assert len(stages.encode(*columns(intervals))) <= 4 * len(encoder.get_compressed())


@pytest.mark.parametrize("path", PATHS)
def test_bits_on_every_path(path: str) -> None:
    random = Random(5)
    p1 = [random.choice([1, 2, TOTAL // 2, TOTAL - 1, random.randint(1, TOTAL - 1)]) for _ in range(4000)]
    bits = bytes(random.random() < p / TOTAL for p in p1)
    ones = np.array(p1, np.uint32).tobytes()
    encoder = RangeEncoder()
    for bit, p in zip(bits, p1, strict=True):
        encoder.encode_bit(bit, p)
    packed = encoder.finish()
    decoder = RangeDecoder(packed)
    assert bytes(decoder.decode_bit(p) for p in p1) == bits
    assert on_path(path, "encode_bits", bits, ones) == packed
    assert on_path(path, "decode_bits", packed, ones) == bits


@pytest.mark.parametrize("packed", [b"", b"\xff" * 20, b"\0\1"], ids=["empty", "ones", "short"])
def test_any_bytes_decode_to_something(packed: bytes) -> None:
    """Damage is for checksums to find; the coder stays within its interval and reads zeros past the end."""
    ones = [1, TOTAL - 1, TOTAL // 2, 12345] * 50
    decoder = RangeDecoder(packed)
    expected = bytes(decoder.decode_bit(p) for p in ones)
    assert stages.decode_bits(packed, np.array(ones, np.uint32).tobytes()) == expected


def test_no_more_zeros_are_left_out_than_a_decoder_reads() -> None:
    """100 symbols of 24 bits are 75 words, two more end them, and all are zeros."""
    assert stages.encode(*columns(INTERVALS["lowest"])) == bytes(4 * 77 - 64)


def test_a_certain_symbol_costs_nothing() -> None:
    assert stages.encode(*columns([(0, TOTAL)] * 1000)) == b""
