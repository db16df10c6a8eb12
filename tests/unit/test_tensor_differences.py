"""Method 5 with a base: the core against the reference, what blocks refer to, and what is refused."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numbers_made import ARRAYS, bf16
from tensor_content import gguf, npz, safetensors
from test_tensor import of_kind

import nczip
from nczip import _core, base, levels, tensors
from nczip.container import BASED, NAMED_FORM, TENSOR, Method, solo_frame, solo_name, wrapped
from nczip.errors import CorruptError
from nczip.layout import Hint, Place
from nczip.reference import tensor as reference

KINDS = range(len(tensors.KINDS))
FLOATS = range(6)
Q8_0 = tensors.KINDS.index("Q8_0")
NOISE = random.Random(1).randbytes(6000)
rng = np.random.Generator(np.random.PCG64(3))
WEIGHTS = (rng.standard_normal((200, 200)) * 0.02).astype("<f4")
TWICE = np.concatenate([WEIGHTS, WEIGHTS])
TUNED = (WEIGHTS + rng.standard_normal((200, 200)) * 0.0001).astype("<f4")


def no_step(raw: int, packed: int) -> None:
    pass


def packed(raw: bytes, kind: int, phase: int, row: int, by: bytes, step: int = 1 << 30) -> bytes:
    encoder = _core.TensorEncoder(raw, kind, phase, row, by)
    while encoder.advance(step) < len(raw):
        pass
    return encoder.finish()


def unpacked(data: bytes, raw_size: int, by: bytes, step: int = 1 << 30) -> bytes:
    decoder = _core.TensorDecoder(data, raw_size, by)
    content = b""
    while len(content) < raw_size:
        content += decoder.decode(step)
    return content


def moved(kind: int, by: bytes, every: int, least: int = 0) -> bytes:
    """Every few numbers by some steps of their lowest bits, from ``least`` on."""
    unit = tensors.UNITS[kind]
    state = random.Random(kind)
    made = bytearray(by)
    for begin in range(0, len(by) - unit + 1, unit * every):
        value = int.from_bytes(by[begin : begin + unit], "little") ^ state.randrange(64) << least
        if unit > 8:  # integers and scales of parts too
            value ^= sum(1 << state.randrange(16, 8 * unit) for _ in range(5))
        made[begin : begin + unit] = (value % (1 << 8 * unit)).to_bytes(unit, "little")
    return bytes(made)


def cases(kind: int) -> list[tuple[bytes, int, int, bytes]]:
    """Content, phase, row, reference."""
    unit = tensors.UNITS[kind]
    numbers = of_kind(kind)[: 2400 // unit * unit]
    return [
        (moved(kind, numbers, 1), 0, 64, numbers),
        (moved(kind, numbers, 300 // unit, 3), 0, 100, numbers),  # rows of the reference among others
        (numbers, 0, 0, numbers),
        (NOISE[: 1200 + unit], unit - 1, 0, NOISE[1200 : 1200 + 1201 // unit * unit]),
        (bytes(1200), 0, 7, NOISE[: 1200 // unit * unit]),
        (NOISE[:1200], 0, 7, bytes(1200 // unit * unit)),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_same_as_the_reference(kind: int) -> None:
    for raw, phase, row, by in cases(kind):
        made = packed(raw, kind, phase, row, by)
        assert made == reference.pack(raw, kind, phase, row, by)
        assert unpacked(made, len(raw), by) == raw
        assert reference.unpack(made, len(raw), by) == raw


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_bits_by_any_reference(kind: int, data: st.DataObject) -> None:
    """Infinities, NaN, zeros of both signs, and what is neither."""
    unit = tensors.UNITS[kind]
    top = (1 << 8 * unit) - 1
    specials = [0, 1, top, top >> 1, (top >> 1) + 1, top - 1, 0x7C, 0xFC, 0x7F800000 & top, 0x3F80, 0xBF80]
    number = st.sampled_from([n & top for n in specials]) | st.integers(0, top)
    pairs = data.draw(
        st.lists(st.tuples(number, number) | number.map(lambda n: (n, n)), max_size=700 if unit < 9 else 20)
    )
    phase, row = data.draw(st.integers(0, unit - 1)), data.draw(st.sampled_from([0, 1, 5, 300, 1 << 20]))
    raw, by = (
        (b"".join(n.to_bytes(unit, "little") for n in side) for side in zip(*pairs, strict=True))
        if (pairs)
        else (b"", b"")
    )
    raw = NOISE[:phase] + raw + NOISE[: data.draw(st.integers(0, unit - 1))]
    step = data.draw(st.sampled_from([1, 100, 1 << 30]))
    assert unpacked(packed(raw, kind, phase, row, by, step), len(raw), by, step) == raw


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_the_reference_costs_nothing(kind: int) -> None:
    raw = (NOISE * 200)[: 1_200_000 // tensors.UNITS[kind] * tensors.UNITS[kind]]
    assert len(packed(raw, kind, 0, 500, raw)) < 200


def test_zeros_that_differ_now_and_then_cost_little() -> None:
    raw = np.arange(1, 1_000_001, dtype="<f4")
    tuned = raw.copy()
    tuned[::5000] *= np.float32(1.001)
    per_change = len(packed(tuned.tobytes(), 2, 0, 2500, raw.tobytes())) * 8 / 200
    assert per_change < 40  # 12.3 bits say which one, about 13 where to


def test_of_differences_without_low_bits_these_cost_nothing() -> None:
    by = (ARRAYS["bf16"].astype("<u4") << 16).tobytes()
    narrow = len(packed(moved(0, ARRAYS["bf16"].tobytes(), 1), 0, 0, 0, ARRAYS["bf16"].tobytes()))
    wide = (np.frombuffer(moved(0, ARRAYS["bf16"].tobytes(), 1), "<u2").astype("<u4") << 16).tobytes()
    assert len(packed(wide, 2, 0, 0, by)) < narrow + 50


def test_near_what_gaussian_noise_costs() -> None:
    """Differential entropy of the noise, less the logarithm of the distance of a float32 to the next one."""
    step = np.spacing(np.abs(TUNED)).astype("<f8")
    bits = np.mean(np.log2(0.0001 * np.sqrt(2 * np.pi * np.e) / step))
    spent = len(packed(TUNED.tobytes(), 2, 0, 200, WEIGHTS.tobytes())) * 8 / TUNED.size
    assert bits < spent < bits + 0.12


@pytest.mark.parametrize("seed", range(20))
def test_differences_smaller_than_a_step(seed: int) -> None:
    """Whose expected level is below zero."""
    state = random.Random(seed)
    by = bytes(state.choice([0, 0, 0, 1, 2, 128]) for _ in range(60))
    raw = bytes(byte ^ (state.randrange(4) if state.random() < 0.3 else 0) for byte in by)
    for kind in (4, 5):
        made = packed(raw, kind, 0, 3, by)
        assert made == reference.pack(raw, kind, 0, 3, by)
        assert unpacked(made, len(raw), by) == raw


def of_low_rank(dtype: str, rows: int, columns: int) -> tuple[bytes, bytes]:
    """Weights, and those that a change of rank two makes of them."""
    by = WEIGHTS.ravel()[: rows * columns].reshape(rows, columns)
    change = rng.standard_normal((rows, 2)) @ rng.standard_normal((2, columns)) * 0.002
    if dtype == "bf16":
        return bf16((by + change).astype("<f4")).tobytes(), bf16(by.copy()).tobytes()
    return (by + change).astype(dtype).tobytes(), by.astype(dtype).tobytes()


@pytest.mark.parametrize(("kind", "dtype"), list(enumerate(["bf16", "<f2", "<f4", "<f8"])))
@pytest.mark.parametrize("columns", [12, 80])
def test_changes_that_the_row_predicts(kind: int, dtype: str, columns: int) -> None:
    raw, by = of_low_rank(dtype, 50, columns)
    made = packed(raw, kind, 0, columns, by)
    assert made == reference.pack(raw, kind, 0, columns, by)
    assert unpacked(made, len(raw), by, step=100) == raw


def test_changes_of_low_rank_cost_less() -> None:
    raw, by = of_low_rank("bf16", 400, 100)
    shuffle = rng.permuted(np.tile(np.arange(400), (100, 1)), axis=1).T
    raw_shuffled, by_shuffled = (
        np.take_along_axis(np.frombuffer(one, "<u2").reshape(400, 100), shuffle, axis=0).tobytes()
        for one in (raw, by)
    )
    assert len(packed(raw, 0, 0, 100, by)) < 0.95 * len(packed(raw_shuffled, 0, 0, 100, by_shuffled))


def q8_0(values: np.ndarray) -> bytes:
    blocks = values.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1) / np.float32(127)
    q = np.round(blocks / scale[:, None]).astype("i1")
    return np.concatenate([scale.astype("<f2")[:, None].view("u1"), q.view("u1")], axis=1).tobytes()


def test_quants_near_those_of_the_reference_cost_less() -> None:
    """Noise of a fifth of a step: 1.4 bits would say where a weight goes, and 7.5 which one it is."""
    raw, by = q8_0(TUNED), q8_0(WEIGHTS)
    assert len(packed(raw, Q8_0, 0, 200, by)) < 0.27 * len(_packed_alone(raw))


def _packed_alone(raw: bytes) -> bytes:
    alone = tensors.pack(memoryview(raw), tensors.Elements(Q8_0, 0, 200), no_step)
    assert alone is not None
    return alone


def test_a_scale_that_changes_moves_integers() -> None:
    """All weights the same, by steps of another size: the reference's, divided, are the block's."""
    q = rng.integers(-60, 61, (3000, 32)).astype("i1")
    fine = np.full((3000, 1), np.float16(0.01)).view("u1")
    coarse = np.full((3000, 1), np.float16(0.005)).view("u1")
    by = np.concatenate([fine, q.view("u1")], axis=1).tobytes()
    raw = np.concatenate([coarse, (2 * q).view("u1")], axis=1).tobytes()
    assert len(packed(raw, Q8_0, 0, 0, by)) < 300


@pytest.mark.parametrize("kind", KINDS)
def test_other_streams_decode_to_something_or_end(kind: int) -> None:
    state = random.Random(kind)
    size = 4800
    for length in (0, 1, 2, 50, 2000):
        data = bytes([kind, 0, 64, 0, 0, 0]) + state.randbytes(length)
        try:
            content = unpacked(data, size, NOISE[: size // tensors.UNITS[kind] * tensors.UNITS[kind]])
        except ValueError as error:
            assert "end before" in str(error)  # noqa: PT017
        else:
            assert len(content) == size


@pytest.mark.parametrize(("kind", "size"), [(2, 1196), (2, 1204), (2, 0), (7, 1200), (14, 1200)])
def test_references_that_do_not_fit(kind: int, size: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        _core.TensorEncoder(bytes(1200), kind, 0, 0, bytes(size))
    with pytest.raises(ValueError, match="does not fit"):
        _core.TensorDecoder(bytes([kind, 0, 0, 0, 0, 0]) + bytes(50), 1200, bytes(size))


# ---- which part of which base


def model(weights: np.ndarray, before: str = "", extra: int = 0) -> bytes:
    return safetensors(
        {
            f"{before}first": ("F32", weights.shape, weights.tobytes()),
            **{f"more{i}": ("U8", [50], bytes(50)) for i in range(extra)},
            f"{before}second": ("F32", weights.shape, weights[::-1].tobytes()),
        }
    )


def methods(archive: bytes) -> list[tuple[str, bool]]:
    return [
        (block.method, block.base is not None)
        for frame in nczip.inspect(io.BytesIO(archive)).frames
        for block in frame.blocks
    ]


@pytest.mark.parametrize(
    ("before", "old"),
    [
        pytest.param(model(WEIGHTS), model(TUNED), id="same layout"),
        pytest.param(model(WEIGHTS, extra=3), model(TUNED), id="other offsets"),
        pytest.param(model(WEIGHTS, "bert.", extra=3), model(TUNED), id="a prefix more"),
        pytest.param(model(WEIGHTS), model(TUNED, "bert.", extra=1), id="a prefix less"),
        pytest.param(npz(b=WEIGHTS[::-1], a=WEIGHTS), npz(a=TUNED, b=TUNED[::-1]), id="npz"),
        pytest.param(WEIGHTS.tobytes(), TUNED.tobytes(), id="no tensors, the same place"),
        pytest.param(
            gguf({"first": (8, [2500, 32], q8_0(TWICE[::-1])), "w": (8, [2500, 32], q8_0(TWICE))}),
            gguf({"w": (8, [2500, 32], q8_0(np.concatenate([TUNED, TUNED])))}),
            id="gguf",
        ),
        pytest.param(
            safetensors({"a": ("F32", [400, 200], np.concatenate([WEIGHTS, WEIGHTS]).tobytes())}),
            safetensors({"a": ("F32", [200, 200], TUNED.tobytes())}),
            id="rows were taken away",
        ),
    ],
)
def test_blocks_refer_to_their_tensor(before: bytes, old: bytes) -> None:
    archive = nczip.compress(old, 5, base=before)
    large = [one for one in methods(archive) if one[0] == "tensor"]
    assert large
    assert all(based for _, based in large)
    assert len(archive) < 0.7 * len(old)
    assert nczip.decompress(archive, base=before) == old
    assert nczip.decompress(archive, base=[b"another", before], threads=2) == old


def test_level_7_is_as_6_for_tensors() -> None:
    old = model(TUNED[:100])
    archive = nczip.compress(old, 7, base=model(WEIGHTS[:100]))
    assert methods(archive).count(("tensor", True)) == 2
    assert archive == nczip.compress(old, 6, base=model(WEIGHTS[:100]))


@pytest.mark.parametrize("other", [rng.standard_normal((200, 200)).astype("<f4"), WEIGHTS.astype("<f8")])
def test_what_is_no_reference_is_not_taken(other: np.ndarray) -> None:
    archive = nczip.compress(model(TUNED), 5, base=model(other.view("<f4")))
    assert ("tensor", True) not in methods(archive)
    assert len(archive) <= len(nczip.compress(model(TUNED), 5)) + 100


def test_types_that_differ_are_no_reference() -> None:
    halves = TUNED.astype("<f2")
    found = tensors.reference(
        nczip.Base(safetensors({"a": ("F16", halves.shape, halves.tobytes())})),
        TUNED.nbytes,
        tensors.Elements(2, 0, 200),
        Hint("F32", 200),
        Place(0, "a"),
    )
    assert found is None


def test_the_base_is_named_when_it_is_missing() -> None:
    archive = nczip.compress(model(TUNED), 5, base=model(WEIGHTS))
    name = nczip.Base(model(WEIGHTS)).name.hex()
    for wrong in (None, model(TUNED)):
        with pytest.raises(nczip.MissingBaseError, match=name):
            nczip.decompress(archive, base=wrong)


def test_one_tensor_alone(tmp_path: Path) -> None:
    old = {f"t{i}": ("F32", WEIGHTS.shape, (WEIGHTS + i).tobytes()) for i in range(6)}
    new = {f"t{i}": ("F32", TUNED.shape, (TUNED + i).tobytes()) for i in range(6)}
    before = tmp_path / "base.safetensors"
    before.write_bytes(safetensors(old))
    archive = nczip.compress(safetensors(new), 5, base=before)
    with nczip.open_tensors(io.BytesIO(archive), base=before) as found:
        source = found._reader._source
        seen = source.bytes_read
        np.testing.assert_array_equal(found["t4"], TUNED + 4)
        assert source.bytes_read - seen < len(archive) // 4


@pytest.mark.parametrize("given_as", ["path", "bytes"])
def test_references_reach_all_of_a_large_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_as: str
) -> None:
    """A mixture has the end of a base; its tensors are those of its header, which is at the beginning."""
    monkeypatch.setattr(base, "MOST", 1000)
    before, old = model(WEIGHTS), model(TUNED)
    (tmp_path / "base").write_bytes(before)
    known = nczip.Base(tmp_path / "base" if given_as == "path" else before)
    assert len(known.content) == 1000
    assert known.size == len(before)
    assert known.read(5, 100) == before[5:105]
    assert known.read(len(before) - 10, 10) == before[-10:]
    archive = nczip.compress(old, 5, base=known)
    assert methods(archive).count(("tensor", True)) == 2
    assert nczip.decompress(archive, base=known) == old


def test_a_base_that_became_shorter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MOST", 1000)
    path = tmp_path / "base"
    path.write_bytes(model(WEIGHTS))
    archive = nczip.compress(model(TUNED), 5, base=path)
    known = nczip.Base(path)
    path.write_bytes(b"short")
    with pytest.raises(OSError, match="changed"):
        nczip.decompress(archive, base=known)


def solo(data: bytes, raw_size: int, name: bytes) -> bytes:
    method = wrapped(BASED, name, Method(TENSOR))
    return solo_frame(NAMED_FORM, raw_size, data, bytes(8), solo_name(NAMED_FORM, method)) + data


HEAD = bytes([2, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "end before"),
        (bytes(8) + HEAD[:1], "end before"),
        (bytes(8) + HEAD[:5], "end before"),
        (bytes(8) + bytes([15, 0, 0, 0, 0, 0]), "not a tensor"),
        (bytes(8) + bytes([2, 4, 0, 0, 0, 0]), "not a tensor"),
        ((201).to_bytes(8, "little") + HEAD + bytes(50), "more than its base has"),
        (b"\xff" * 8 + HEAD + bytes(50), "more than its base has"),
        ((200).to_bytes(8, "little") + HEAD + b"\x80" + bytes(50), "checksum"),
    ],
)  # fmt: skip
def test_damage(data: bytes, message: str) -> None:
    known = nczip.Base(NOISE[:1000])
    with pytest.raises(CorruptError, match=message):
        nczip.decompress(solo(data, 800, known.name), base=known)


def test_memory_counts_the_reference() -> None:
    plain, based = levels.plan(5), levels.plan(5, base=nczip.Base(NOISE))
    method = based.methods[2]
    assert method.id == BASED
    one = levels.block_memory(Method(TENSOR), plain.block_size, "compress")
    assert levels.block_memory(method, plain.block_size, "decompress") == one + plain.block_size
