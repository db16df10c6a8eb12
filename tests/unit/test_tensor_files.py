"""What headers of tensor files say, and which of them are not believed."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensor_content import gguf, npy, safetensors, zipped

from nczip import tensor_files
from nczip.tensor_files import TensorEntry, read_entries

GOOD = {"b": ("F32", [2, 3], bytes(24)), "a": ("BF16", [5], bytes(10)), "none": ("I8", [0, 4], b"")}


def read(data: bytes) -> list[TensorEntry]:
    return read_entries(io.BytesIO(data), len(data))


def raw_safetensors(text: bytes, data: bytes = b"") -> bytes:
    return len(text).to_bytes(8, "little") + text + data


def test_safetensors() -> None:
    data = safetensors(GOOD)
    begin = len(data) - 34
    assert read(data) == [
        TensorEntry("b", "F32", (2, 3), begin, begin + 24),
        TensorEntry("a", "BF16", (5,), begin + 24, begin + 34),
        TensorEntry("none", "I8", (0, 4), begin + 34, begin + 34),
    ]
    assert [entry.row for entry in read(data)] == [3, 0, 4]
    assert tensor_files.may_have_entries(data[:16])


def test_a_type_of_the_future_keeps_its_name() -> None:
    (entry,) = read(safetensors({"x": ("F4", [9], bytes(5))}))
    assert (entry.dtype, entry.end - entry.start) == ("F4", 5)


@pytest.mark.parametrize("alignment", [None, 64])
def test_gguf(alignment: int | None) -> None:
    data = gguf({"q": (3, [2, 64], bytes(80)), "f": (0, [3], bytes(12))}, alignment)
    first, second = read(data)
    assert (first.name, first.dtype, first.shape, first.row) == ("q", "Q4_1", (2, 64), 64)
    assert first.start % (alignment or 32) == second.start % (alignment or 32) == 0
    assert (first.end - first.start, second.end) == (80, len(data))


def test_npy() -> None:
    array = np.arange(6, dtype="<f8").reshape(2, 3)
    (entry,) = read(npy(array))
    assert (entry.dtype, entry.shape, entry.end - entry.start) == ("F64", (2, 3), 48)
    (entry,) = read(npy(np.asfortranarray(array)))
    assert (entry.shape, entry.is_transposed) == ((3, 2), True)


def claim(**changes: object) -> bytes:
    return raw_safetensors(
        json.dumps({"x": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} | changes}).encode(), b"data"
    )


HOSTILE = {
    "empty": b"",
    "text": b'{"a": 1}' * 100,
    "offsets past the end": claim(shape=[5], data_offsets=[0, 5]),
    "offsets backwards": claim(data_offsets=[4, 0]),
    "negative offset": claim(data_offsets=[-4, 0]),
    "negative shape": claim(shape=[-1, -4]),
    "huge shape": claim(shape=[1 << 62, 1 << 62]),
    "huge shape of nothing": claim(shape=[0, 1 << 61], data_offsets=[0, 0]),
    "shape that disagrees": claim(shape=[3]),
    "fractions": claim(shape=[4.0]),
    "true": claim(shape=[True, 4]),
    "no list": claim(shape=4),
    "three offsets": claim(data_offsets=[0, 1, 4]),
    "a number as type": claim(dtype=8),
    "no object": raw_safetensors(b"[1]"),
    "no tensor": raw_safetensors(b'{"x": 3}'),
    "deep": raw_safetensors(b'{"x":' + b"[" * 100_000),
    "wide": raw_safetensors(b'{"x":[' + b"[]," * (tensor_files._MAX_TENSORS + 1) * 2),
    "long": raw_safetensors(b'{"x":[' + b"0," * tensor_files._MAX_VALUES + b"0]}"),
    "not UTF-8": raw_safetensors(b'{"\xff": 3}'),
    "endless header": (1 << 40).to_bytes(8, "little") + b'{"x": 3}',
    "twice the name": raw_safetensors(
        b'{"x": {"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        b'"x": {"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
        b"ab",
    ),
    "overlap": safetensors(GOOD, x={"dtype": "U8", "shape": [2], "data_offsets": [23, 25]}),
    "gguf cut": gguf({"q": (3, [2, 64], bytes(80))})[:100],
    "gguf cut in data": gguf({"q": (3, [2, 64], bytes(80))})[:-1],
    "gguf with an unknown type": gguf({"q": (77, [2, 64], bytes(80))}),
    "gguf row of half a block": gguf({"q": (3, [2, 48], bytes(80))}),
    "gguf of version 9": b"GGUF\x09" + gguf({})[5:],
    "gguf with endless strings": b"GGUF"
    + bytes([3, 0, 0, 0])
    + (0).to_bytes(8, "little")
    + (1).to_bytes(8, "little")
    + bytes(8)
    + bytes([9, 0, 0, 0, 8, 0, 0, 0])
    + b"\xff" * 8,
    "npy of objects": b"\x93NUMPY\x01\x00"
    + (60).to_bytes(2, "little")
    + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(60),
    "npy of fields": npy(np.zeros(3, "<f4").view([("a", "<f4")])),
    "npy without a type": b"\x93NUMPY\x01\x00"
    + (60).to_bytes(2, "little")
    + b"{'descr': '<', 'fortran_order': False, 'shape': (1,), }".ljust(60),
    "npy that runs": b"\x93NUMPY\x01\x00"
    + (60).to_bytes(2, "little")
    + b"{'descr': exit(), 'fortran_order': 0, 'shape': ()}".ljust(60),
    "npy that is deep": b"\x93NUMPY\x01\x00" + (60000).to_bytes(2, "little") + b"(" * 60000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_lies_are_just_bytes(data: bytes) -> None:
    assert read(data) == []


@given(st.data())
def test_damage_never_raises(data: st.DataObject) -> None:
    whole = data.draw(
        st.sampled_from([safetensors(GOOD), gguf({"q": (3, [2, 64], bytes(80))}), npy(np.zeros((2, 3)))])
    )
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    for entry in read(bytes(damaged)):
        assert 0 <= entry.start <= entry.end <= len(damaged)


def read_whole(data: bytes) -> list[TensorEntry]:
    return tensor_files.read_file(io.BytesIO(data), len(data))


def test_zip_members_that_overlap_are_not_believed() -> None:
    """As where a long list of members says the same place again and again."""
    archive = zipped({"a.npy": npy(np.arange(99)), "b.npy": npy(np.arange(99))})
    assert [entry.name for entry in read_whole(archive)] == ["a", "b"]
    second = archive.rindex(b"PK\1\2")
    same_place = archive[: second + 42] + bytes(4) + archive[second + 46 :]
    assert read_whole(same_place) == []


def test_an_endless_list_of_zip_members_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped({f"{i}": b"" for i in range(999)})
    assert len(read_whole(archive)) == 999
    monkeypatch.setattr(tensor_files, "_MAX_DIRECTORY", 20_000)
    assert read_whole(archive) == []


def test_a_header_ends_with_its_file() -> None:
    """So that nobody can have one read again and again, for members that have no bytes."""
    archive = zipped({"a.npy": b"", "b": safetensors(GOOD)})
    assert [entry.name for entry in read_whole(archive)] == ["a.npy", "b"]
    file = io.BytesIO(safetensors(GOOD))
    assert read_entries(file, 0) == []
    assert file.tell() == 0
