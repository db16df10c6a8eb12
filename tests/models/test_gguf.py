"""The GGUF reader: every type of tensor against a formula of its own, and files that lie."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import F32, File, Raw, TensorBytes, string, tiny, value_of

from nczip.errors import ModelFileError
from nczip.models.gguf import ENCODINGS, Gguf


def half(block: bytes, at: int) -> float:
    return float(struct.unpack_from("<e", block, at)[0])


def nibble(block: bytes, at: int, i: int) -> int:
    """Value i of 32: low nibbles first."""
    return block[at + i % 16] >> (4 if i >= 16 else 0) & 15


def signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def six_bits(packed: bytes, j: int) -> tuple[int, int]:
    """Scale and minimum j of a super-block: get_scale_min_k4 of ggml."""
    if j < 4:
        return packed[j] & 63, packed[j + 4] & 63
    return packed[j + 4] & 15 | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4


def k_value(block: bytes, i: int, q: int) -> np.float32:
    scale, minimum = six_bits(block[4:16], i // 32)
    scaled = np.float32(half(block, 0)) * np.float32(scale)
    return np.float32(q) * scaled - np.float32(half(block, 2)) * np.float32(minimum)


def k_nibble(block: bytes, at: int, i: int) -> int:
    return block[at + i // 64 * 32 + i % 32] >> (4 if i % 64 >= 32 else 0) & 15


def q6_k(block: bytes, i: int) -> np.float32:
    n, r = divmod(i, 128)
    quarter, place = divmod(r, 32)
    low = block[n * 64 + place + 32 * (quarter % 2)] >> (4 if quarter >= 2 else 0) & 15
    high = block[128 + n * 32 + place] >> 2 * quarter & 3
    scale = signed(block[192 + i // 16])
    return np.float32(half(block, 208)) * np.float32(scale) * np.float32((low | high << 4) - 32)


def fifth(block: bytes, at: int, i: int) -> int:
    return (int.from_bytes(block[at : at + 4], "little") >> i & 1) << 4


# Value i of a block, in double precision or with the roundings of float32 where there are any.
FORMULAS: dict[str, Callable[[bytes, int], Any]] = {
    "F32": lambda block, i: struct.unpack("<f", block)[0],
    "F16": lambda block, i: half(block, 0),
    "BF16": lambda block, i: struct.unpack("<f", b"\0\0" + block)[0],
    "Q8_0": lambda block, i: half(block, 0) * signed(block[2 + i]),
    "Q4_0": lambda block, i: half(block, 0) * (nibble(block, 2, i) - 8),
    "Q4_1": lambda block, i: (
        np.float32(half(block, 0)) * np.float32(nibble(block, 4, i)) + np.float32(half(block, 2))
    ),
    "Q5_0": lambda block, i: half(block, 0) * ((nibble(block, 6, i) | fifth(block, 2, i)) - 16),
    "Q5_1": lambda block, i: (
        np.float32(half(block, 0)) * np.float32(nibble(block, 8, i) | fifth(block, 4, i))
        + np.float32(half(block, 2))
    ),
    "Q4_K": lambda block, i: k_value(block, i, k_nibble(block, 16, i)),
    "Q5_K": lambda block, i: k_value(
        block, i, k_nibble(block, 48, i) | (block[16 + i % 32] >> i // 32 & 1) << 4
    ),
    "Q6_K": q6_k,
}
HALVES = {"Q4_1": (0, 2), "Q5_1": (0, 2), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}


def blocks_of(kind: int, count: int) -> bytes:
    """Random blocks whose scales are finite."""
    encoding = ENCODINGS[kind]
    rng = np.random.default_rng(kind)
    if encoding.length == 1:
        bits = rng.standard_normal(count).astype("<f2" if encoding.name == "F16" else "<f4").view(np.uint8)
        return bits.reshape(count, -1)[:, -encoding.size :].tobytes()  # of BF16 the upper half
    blocks = rng.integers(0, 256, (count, encoding.size), np.uint8)
    for at in HALVES.get(encoding.name, (0,)):
        scales = rng.standard_normal(count).astype("<f2")
        scales[0] = 6e-8  # the smallest there is
        blocks[:, at : at + 2] = scales[:, None].view(np.uint8)
    return blocks.tobytes()


@pytest.mark.parametrize("kind", ENCODINGS, ids=lambda kind: ENCODINGS[kind].name)
def test_every_type_of_tensor(kind: int, tmp_path: Path) -> None:
    encoding = ENCODINGS[kind]
    width = 2 * encoding.length
    data = blocks_of(kind, 6)
    path = File({}, {"t": TensorBytes((3, width), kind, data)}).write(tmp_path / "t.gguf")
    tensor = Gguf(path).tensors["t"]
    wanted = np.array(
        [
            FORMULAS[encoding.name](data[at : at + encoding.size], i)
            for at in range(0, len(data), encoding.size)
            for i in range(encoding.length)
        ]
    ).astype(np.float32)
    assert tensor.shape == (3, width)
    got = tensor.rows(slice(None))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, wanted.reshape(3, width))
    some = np.array([2, 0, 2])
    np.testing.assert_array_equal(tensor.rows(some), wanted.reshape(3, width)[some])


@pytest.mark.parametrize("kind", ENCODINGS, ids=lambda kind: ENCODINGS[kind].name)
def test_every_type_of_tensor_as_llama_cpp_reads_it(kind: int, tmp_path: Path) -> None:
    quants = pytest.importorskip("gguf.quants")
    constants = pytest.importorskip("gguf.constants")
    data = np.frombuffer(blocks_of(kind, 6), np.uint8).reshape(3, -1)
    width = 2 * ENCODINGS[kind].length
    path = File({}, {"t": TensorBytes((3, width), kind, data.tobytes())}).write(tmp_path / "t.gguf")
    theirs = quants.dequantize(
        data.view("<f4" if kind == 0 else "<f2" if kind == 1 else np.uint8),
        constants.GGMLQuantizationType(kind),
    )
    np.testing.assert_array_equal(Gguf(path).tensors["t"].rows(slice(None)), theirs)


def test_metadata(tmp_path: Path) -> None:
    numbers = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 10: "Q", 11: "q", 12: "d"}
    given = {f"n{kind}": Raw(kind, struct.pack(f"<{code}", 101)) for kind, code in numbers.items()}
    given |= {
        "yes": True,
        "text": "h\u00e9",
        "bytes": "\udcff",
        "list": ["a", "", "c"],
        "floats": [1.5, -2.0],
    }
    given["none"] = Raw(9, struct.pack("<IQ", 8, 0))
    read = Gguf(File(given, {}).write(tmp_path / "m.gguf")).metadata
    assert all(read[f"n{kind}"] == 101 for kind in numbers)
    assert type(read["n4"]) is int
    assert type(read["n6"]) is float
    assert read["yes"] is True
    assert (read["text"], read["bytes"], read["list"], read["none"]) == (
        "h\u00e9",
        "\udcff",
        ["a", "", "c"],
        [],
    )
    assert read["floats"].tolist() == [1.5, -2.0]


def test_version_2_and_another_alignment(tmp_path: Path) -> None:
    file = tiny()
    file.version, file.alignment = 2, 256
    file.metadata["general.alignment"] = 256
    read = Gguf(file.write(tmp_path / "m.gguf"))
    assert len(read.tensors) == len(file.tensors)
    assert (
        read.tensors["output_norm.weight"].rows(slice(None)).tobytes()
        == file.tensors["output_norm.weight"].data
    )


def test_cut_anywhere(tmp_path: Path) -> None:
    """At every byte of the front, and around every tensor: one sentence, whatever is missing."""
    file = tiny()
    head, data = file.parts()
    whole = head + data
    begins = [len(head) + at for at in range(0, len(data), 997)]
    path = tmp_path / "cut.gguf"
    for end in [*range(0, len(head), 13), *range(len(head) - 70, len(head)), *begins, len(whole) - 1]:
        path.write_bytes(whole[:end])
        with pytest.raises(ModelFileError, match=r"is cut short|is not a GGUF|more than it has room"):
            Gguf(path)
    path.write_bytes(whole)
    Gguf(path)


BIG = [1 << 31, 1 << 32, 1 << 60, 1 << 63, (1 << 64) - 1]
TENSOR = TensorBytes((4,), F32, bytes(16))


def hostile() -> list[tuple[str, bytes, str]]:
    """What is wrong, a file in which it is, and what is said about it."""
    one = {"t": TENSOR}
    cases = [
        ("nothing", b"", "is not a GGUF"),
        ("text", b"GGU", "is not a GGUF"),
        ("another magic", b"GGML" + bytes(60), "is not a GGUF"),
        ("version 1", File({}, {}, version=1).pack(), "version 1"),
        ("big endian", b"GGUF\0\0\0\3" + bytes(60), "version 50331648"),
        ("an unknown value", File({"k": Raw(13, bytes(8))}, {}).pack(), "unknown type 13"),
        (
            "nested arrays",
            File({"k": Raw(9, struct.pack("<IQ", 9, 1) + value_of([1])[4:])}, {}).pack(),
            "arrays within",
        ),
        ("a key twice", File({"k": 1}, {}, twice=["k"]).pack(), "two values for k"),
        ("a tensor twice", File({}, {"t": TENSOR}, twice=["t"]).pack(), "two tensors called t"),
        ("an unknown type", File({}, {"t": TensorBytes((4,), 99, bytes(16))}).pack(), "unknown type 99"),
        ("a type that is no more", File({}, {"t": TensorBytes((4,), 4, bytes(16))}).pack(), "unknown type 4"),
        ("no dimensions", File({}, {"t": TensorBytes((), F32, bytes(16))}).pack(), "in 0 dimensions"),
        ("many dimensions", File({}, {"t": TensorBytes((1,) * 5, F32, bytes(16))}).pack(), "in 5 dimensions"),
        ("an empty dimension", File({}, {"t": TensorBytes((0, 4), F32, b"")}).pack(), "cannot have"),
        ("half a block", File({}, {"t": TensorBytes((2, 16), 2, bytes(18))}).pack(), "cannot have"),
        (
            "a crooked offset",
            File({}, {"t": TensorBytes((4,), F32, bytes(32), 4)}).pack(),
            "not a multiple of 32",
        ),
        (
            "tensors in one another",
            File(
                {}, {"a": TensorBytes((16,), F32, bytes(64)), "b": TensorBytes((4,), F32, bytes(16), 32)}
            ).pack(),
            "b inside of another",
        ),
        (
            "a terminal's command in a name",
            File({}, {"\x1b[2J": TensorBytes((4,), 99, b"")}).pack(),
            r"has \?\[2J in",
        ),
    ]
    for alignment in (0, 3, 7, 24, 1 << 31, -8, 4.0, "32", True):
        cases.append(
            (f"alignment {alignment!r}", File({"general.alignment": alignment}, one).pack(), "alignment")
        )
    for size in BIG:
        cases += [
            (f"{size} tensors", File({}, one, counts=(size, None)).pack() + bytes(99), "claims .* tensors"),
            (f"{size} entries", File({"k": 1}, {}, counts=(None, size)).pack(), "claims .* entries"),
            (
                f"a string of {size}",
                File({"k": Raw(8, struct.pack("<Q", size) + b"abc")}, {}).pack(),
                "is cut short",
            ),
            (
                f"{size} strings",
                File({"k": Raw(9, struct.pack("<IQ", 8, size))}, {}).pack(),
                "claims .* strings",
            ),
            (
                f"{size} numbers",
                File({"k": Raw(9, struct.pack("<IQ", 4, size))}, {}).pack(),
                "claims .* numbers",
            ),
            (
                f"a side of {size}",
                File({}, {"t": TensorBytes((size,), F32, bytes(16))}).pack(),
                "is cut short",
            ),
            (
                f"sides of {size}",
                File({}, {"t": TensorBytes((size,) * 4, F32, bytes(16))}).pack(),
                "is cut short",
            ),
            (
                f"an offset of {size & ~31}",
                File({}, {"t": TensorBytes((4,), F32, bytes(16), size & ~31)}).pack(),
                "is cut short",
            ),
        ]
    key = b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 63) + bytes(40)
    cases.append(("a key of 2^63", key, "is cut short"))
    name = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", 1 << 62) + string("t") + bytes(40)
    cases.append(("a name of 2^62", name, "is cut short"))
    return cases


@pytest.mark.parametrize(("data", "said"), [pytest.param(*case[1:], id=case[0]) for case in hostile()])
def test_what_is_wrong_is_said_in_one_sentence(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=said) as caught:
        Gguf(path)
    assert str(caught.value).isprintable()
