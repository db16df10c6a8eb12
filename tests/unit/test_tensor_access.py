"""Tensors of archives, one at a time."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from tensor_content import gguf, npy, npz, pickled_tensors, safetensors, zipped

import nczip

rng = np.random.default_rng(2)
LARGE = rng.normal(size=(300, 400)).astype("<f4")
OTHER = rng.integers(-9, 9, (70, 1000), np.int64)


def opened(data: bytes, level: int = 1) -> nczip.Tensors:
    return nczip.open_tensors(io.BytesIO(nczip.compress(data, level)))


def test_safetensors(tmp_path: Path) -> None:
    half = (LARGE.view("<u4") >> 16).astype("<u2")
    (tmp_path / "m.safetensors.ncz").write_bytes(
        nczip.compress(
            safetensors(
                {
                    "w": ("F32", LARGE.shape, LARGE.tobytes()),
                    "b": ("BF16", half.shape, half.tobytes()),
                    "o": ("I64", OTHER.shape, OTHER.tobytes()),
                    "flag": ("BOOL", (), b"\1"),
                    "new": ("F4", (3, 2), b"abc"),
                }
            ),
            2,
        )
    )
    with nczip.open_tensors(tmp_path / "m.safetensors.ncz") as tensors:
        assert list(tensors) == ["w", "b", "o", "flag", "new"]
        np.testing.assert_array_equal(tensors["o"], OTHER)
        np.testing.assert_array_equal(tensors["w"], LARGE)
        assert tensors["b"].dtype == np.float32
        np.testing.assert_array_equal(tensors["b"].view("<u4") >> 16, half)
        assert tensors["flag"].shape == ()
        assert tensors["flag"]
        assert tensors["new"].tobytes() == tensors.read("new") == b"abc"
        with pytest.raises(KeyError):
            tensors["x"]


def test_only_its_blocks_are_read() -> None:
    tensors = {f"t{i}": ("F32", LARGE.shape, (LARGE + i).tobytes()) for i in range(20)}
    packed = nczip.compress(safetensors(tensors), 1)
    file = io.BytesIO(packed)
    with nczip.open_tensors(file) as found:
        source = found._reader._source
        before = source.bytes_read
        np.testing.assert_array_equal(found["t17"], LARGE + 17)
        assert source.bytes_read - before < len(packed) // 15


def test_gguf_has_quantised_rows_as_bytes() -> None:
    blocks = rng.integers(0, 256, (2000, 2, 20), np.uint8)
    tensors = opened(
        gguf({"q": (3, [2000, 64], blocks.tobytes()), "f": (1, [4], np.arange(4).astype("<f2").tobytes())})
    )
    np.testing.assert_array_equal(tensors["q"], blocks.reshape(2000, 40))
    np.testing.assert_array_equal(tensors["f"], [0, 1, 2, 3])


@pytest.mark.parametrize(
    "array", [LARGE, np.asfortranarray(LARGE), OTHER[0], np.float64(3)], ids=["C", "F", "1", "0"]
)
def test_npy(array: np.ndarray) -> None:
    tensors = opened(npy(array))
    np.testing.assert_array_equal(tensors["array"], array)


def test_npz() -> None:
    tensors = opened(npz(large=LARGE, other=OTHER, f=np.asfortranarray(LARGE)))
    assert list(tensors) == ["large", "other", "f"]
    np.testing.assert_array_equal(tensors["large"], LARGE)
    np.testing.assert_array_equal(tensors["other"], OTHER)
    np.testing.assert_array_equal(tensors["f"], LARGE)


ROWS, COLUMNS = LARGE.shape
CHECKPOINT = pickled_tensors({
    "w": ("0", LARGE.size, 0, LARGE.shape),
    "part": ("0", LARGE.size, COLUMNS, (ROWS - 1, COLUMNS)),
    "gone": ("0", LARGE.size, 1, LARGE.shape),  # beyond the storage
})  # fmt: skip


def checkpoint(pickled: bytes, *, streamed: bool = False, **others: bytes) -> bytes:
    members = {"model/data.pkl": pickled, "model/data/0": LARGE.tobytes()}
    members |= {f"model/{name}": content for name, content in others.items()}
    return zipped(members, streamed=streamed)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_checkpoint(streamed: bool) -> None:
    tensors = opened(checkpoint(CHECKPOINT, streamed=streamed, byteorder=b"little", version=b"3"))
    assert set(tensors) == {"w", "part", "model/data.pkl", "model/byteorder", "model/version"}
    np.testing.assert_array_equal(tensors["w"], LARGE)
    np.testing.assert_array_equal(tensors["part"], LARGE[1:])


def test_tensors_of_one_name() -> None:
    """As {"a.b": x, "a": {"b": y}} makes; the second is there as a storage."""
    first, second = (
        pickled_tensors({name: (key, LARGE.size, 0, LARGE.shape)})[4:-2]
        for name, key in (("a.b", "0"), ("b", "1"))
    )
    pickled = b"\x80\2}(" + first + b"X\1\0\0\0a}(" + second + b"uu."
    other = (LARGE + 1).tobytes()
    tensors = opened(zipped({"m/data.pkl": pickled, "m/data/0": LARGE.tobytes(), "m/data/1": other}))
    assert set(tensors) == {"a.b", "m/data.pkl", "m/data/1"}
    np.testing.assert_array_equal(tensors["a.b"], LARGE)
    assert tensors["m/data/1"].tobytes() == other


@pytest.mark.parametrize(
    "data", [checkpoint(b"no pickle"), checkpoint(CHECKPOINT[:90]), checkpoint(CHECKPOINT, byteorder=b"big")]
)
def test_storages_of_a_checkpoint_that_is_not_understood(data: bytes) -> None:
    assert opened(data)["model/data/0"].tobytes() == LARGE.tobytes()


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2"])
def test_eight_bit_floats(dtype: str) -> None:
    values = opened(safetensors({"x": (dtype, [256], bytes(range(256)))}))["x"]
    assert values.dtype == np.float32
    known = {0x00: 0.0, 0x01: 2.0**-9, 0x38: 1.0, 0x7E: 448.0, 0xB8: -1.0}
    if dtype == "F8_E5M2":
        known = {0x00: 0.0, 0x01: 2.0**-16, 0x3C: 1.0, 0x7B: 57344.0, 0xBC: -1.0, 0x7C: np.inf, 0xFC: -np.inf}
    assert {code: float(values[code]) for code in known} == known
    assert np.isnan(values[[0x7F, 0xFF]]).all()


def test_other_content_is_refused() -> None:
    for data in (b"", b"text" * 100, b"PK\3\4 and no more"):
        with pytest.raises(nczip.FormatError, match="tensors"):
            opened(data)
