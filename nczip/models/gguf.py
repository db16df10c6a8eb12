"""GGUF files, versions 2 and 3: metadata, and tensors as float32.

The layout is that of the GGML project (Gerganov and others, 2023). Every count, size and offset is held
against the file's real size before anything of that size is made, so that a hostile file costs no more than
its own length.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nczip.errors import ModelFileError
from nczip.tensor_files import GGUF_TYPES, UNITS

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Small = npt.NDArray[np.integer[Any]]  # of 8 bits

MAGIC = b"GGUF"
_MOST_DIMENSIONS = 4
_DEFAULT_ALIGNMENT = 32
_STRING, _ARRAY, _BOOL = 8, 9, 7
_NUMBERS = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4",
    _BOOL: "<u1", 10: "<u8", 11: "<i8", 12: "<f8",
}  # fmt: skip
_LEAST_STRING = 8  # bytes in the file: its length
_LEAST_ENTRY = _LEAST_STRING + 4 + 1  # of metadata: name, type, value
_LEAST_TENSOR = _LEAST_STRING + 4 + 8 + 4 + 8  # name, number of dimensions, one dimension, type, offset


@dataclass(frozen=True)
class Encoding:
    """How a type of tensor lies in a file: ``length`` values in ``size`` bytes.

    ``decode`` takes uint8 [n, size] and gives float32 [n, length].
    """

    name: str
    length: int
    size: int
    decode: Callable[[Bytes], Floats]


def _halves(blocks: Bytes, at: int) -> Floats:
    """The float16 at byte ``at`` of each block, as float32 [n, 1]."""
    return blocks[:, at : at + 2].copy().view("<f2").astype(np.float32)


def _nibbles(packed: Bytes) -> Small:
    """[n, k] bytes to [n, 2k]: all low nibbles, then all high ones."""
    return np.concatenate([packed & 15, packed >> 4], axis=1)


def _fifth_bits(blocks: Bytes, at: int) -> Small:
    """The 32 bits at byte ``at`` of each block, each worth 16: uint8 [n, 32]."""
    return np.unpackbits(blocks[:, at : at + 4], axis=1, bitorder="little") << 4


def _f32(blocks: Bytes) -> Floats:
    return blocks.view("<f4").astype(np.float32, copy=False)


def _f16(blocks: Bytes) -> Floats:
    return blocks.view("<f2").astype(np.float32)


def _bf16(blocks: Bytes) -> Floats:
    return (blocks.view("<u2").astype(np.uint32) << 16).view(np.float32)


def _q8_0(blocks: Bytes) -> Floats:
    return blocks[:, 2:].view(np.int8).astype(np.float32) * _halves(blocks, 0)


def _q4_0(blocks: Bytes) -> Floats:
    return (_nibbles(blocks[:, 2:]).astype(np.float32) - np.float32(8)) * _halves(blocks, 0)


def _q4_1(blocks: Bytes) -> Floats:
    return _nibbles(blocks[:, 4:]).astype(np.float32) * _halves(blocks, 0) + _halves(blocks, 2)


def _q5_0(blocks: Bytes) -> Floats:
    values = _nibbles(blocks[:, 6:]) | _fifth_bits(blocks, 2)
    return (values.astype(np.float32) - np.float32(16)) * _halves(blocks, 0)


def _q5_1(blocks: Bytes) -> Floats:
    values = _nibbles(blocks[:, 8:]) | _fifth_bits(blocks, 4)
    return values.astype(np.float32) * _halves(blocks, 0) + _halves(blocks, 2)


def _k_scales(packed: Bytes) -> tuple[Small, Small]:
    """Eight 6-bit scales and eight 6-bit minima out of 12 bytes: uint8 [n, 8] each."""
    low, middle, high = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([low & 63, (high & 15) | (low >> 6 << 4)], axis=1)
    minima = np.concatenate([middle & 63, (high >> 4) | (middle >> 6 << 4)], axis=1)
    return scales, minima


def _k_values(blocks: Bytes, values: Small) -> Floats:
    """Super-blocks of 256 with their scales at byte 0: value * (d * scale) - dmin * minimum."""
    scales, minima = _k_scales(blocks[:, 4:16])
    scale = (_halves(blocks, 0) * scales.astype(np.float32))[:, :, None]
    minimum = (_halves(blocks, 2) * minima.astype(np.float32))[:, :, None]
    return (values.reshape(-1, 8, 32).astype(np.float32) * scale - minimum).reshape(-1, 256)


def _k_nibbles(packed: Bytes) -> Small:
    """[n, 128] bytes to [n, 256]: of each 32 bytes the low nibbles, then the high ones."""
    quarters = packed.reshape(-1, 4, 32)
    return np.stack([quarters & 15, quarters >> 4], axis=2).reshape(-1, 256)


def _q4_k(blocks: Bytes) -> Floats:
    return _k_values(blocks, _k_nibbles(blocks[:, 16:]))


def _q5_k(blocks: Bytes) -> Floats:
    # Bit j of byte i of the 32 is the fifth bit of value i of the j-th 32.
    fifth = np.unpackbits(blocks[:, 16:48, None], axis=2, bitorder="little").swapaxes(1, 2)
    return _k_values(blocks, _k_nibbles(blocks[:, 48:]) | (fifth.reshape(-1, 256) << 4))


def _q6_k(blocks: Bytes) -> Floats:
    low = blocks[:, :128].reshape(-1, 2, 2, 32)  # half, 32 values, byte
    high = blocks[:, 128:192].reshape(-1, 2, 1, 32)
    nibbles = np.concatenate([low & 15, low >> 4], axis=2)  # half, quarter, value
    pairs = (high >> np.array([0, 2, 4, 6], np.uint8)[:, None]) & 3
    values = (nibbles | (pairs << 4)).astype(np.float32) - np.float32(32)
    scale = _halves(blocks, 208) * blocks[:, 192:208].view(np.int8).astype(np.float32)
    weights: Floats = values.reshape(-1, 16, 16) * scale[:, :, None]
    return weights.reshape(-1, 256)


_DECODERS = {
    "F32": _f32, "F16": _f16, "BF16": _bf16, "Q4_0": _q4_0, "Q4_1": _q4_1, "Q5_0": _q5_0, "Q5_1": _q5_1,
    "Q8_0": _q8_0, "Q4_K": _q4_k, "Q5_K": _q5_k, "Q6_K": _q6_k,
}  # fmt: skip
ENCODINGS = {
    number: Encoding(name, *UNITS[name], _DECODERS[name])
    for number, name in GGUF_TYPES.items()
    if name in _DECODERS
}


@dataclass(frozen=True)
class GgufTensor:
    """A tensor whose floats are made when they are asked for. The last of ``shape`` runs fastest."""

    shape: tuple[int, ...]
    encoding: Encoding
    blocks: Bytes  # [values / encoding.length, encoding.size], a view of the file

    def rows(self, index: npt.NDArray[np.int64] | slice) -> Floats:
        """The rows of a matrix that ``index`` names, float32; a vector is one row."""
        width = self.shape[-1]
        by_row = self.blocks.reshape(-1, width // self.encoding.length, self.encoding.size)[index]
        packed = np.ascontiguousarray(by_row).reshape(-1, self.encoding.size)
        with np.errstate(all="ignore"):  # what is not finite is refused later, once, with its name
            return self.encoding.decode(packed).reshape(-1, width)


class Gguf:
    """``metadata`` by key (numbers, bool, str, and lists and arrays of them), and ``tensors`` by name.

    Strings that are not UTF-8 become str with surrogates. Raises ModelFileError.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            if file.seek(0, 2) < len(MAGIC):
                raise ModelFileError("is not a GGUF file")
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._at = 0
        if self._take(4) != MAGIC:
            raise ModelFileError("is not a GGUF file")
        (version,) = struct.unpack("<I", self._take(4))
        if version not in (2, 3):
            raise ModelFileError(f"is GGUF of version {version}; nczip reads versions 2 and 3")
        tensors, entries = struct.unpack("<QQ", self._take(16))
        self._claim(tensors, _LEAST_TENSOR, "tensors")
        self._claim(entries, _LEAST_ENTRY, "entries of metadata")
        self.metadata: dict[str, Any] = {}
        for _ in range(entries):
            key = self._string()
            if key in self.metadata:
                raise ModelFileError(f"has two values for {_short(key)}")
            self.metadata[key] = self._value(self._u32())
        self.tensors = self._tensors(tensors)

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise ModelFileError(f"is cut short: it ends at {len(self._data):,} bytes")
        self._at += size
        return self._data[self._at - size : self._at]

    def _claim(self, count: int, least: int, what: str) -> None:
        if count > (len(self._data) - self._at) // least:
            raise ModelFileError(f"claims {count:,} {what}, more than it has room for")

    def _u32(self) -> int:
        return int.from_bytes(self._take(4), "little")

    def _u64(self) -> int:
        return int.from_bytes(self._take(8), "little")

    def _string(self) -> str:
        return self._take(self._u64()).decode("utf-8", "surrogateescape")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._array()
        number = self._numbers(kind, 1)[0]
        return bool(number) if kind == _BOOL else number.item()

    def _array(self) -> Any:
        kind, count = self._u32(), self._u64()
        if kind == _ARRAY:
            raise ModelFileError("has arrays within arrays in its metadata")
        if kind == _STRING:
            self._claim(count, _LEAST_STRING, "strings")
            return [self._string() for _ in range(count)]
        return self._numbers(kind, count)

    def _numbers(self, kind: int, count: int) -> npt.NDArray[Any]:
        if kind not in _NUMBERS:
            raise ModelFileError(f"has metadata of the unknown type {kind}")
        dtype = np.dtype(_NUMBERS[kind])
        self._claim(count, dtype.itemsize, "numbers")
        return np.frombuffer(self._take(count * dtype.itemsize), dtype)

    def _tensors(self, count: int) -> dict[str, GgufTensor]:
        infos = [self._info() for _ in range(count)]
        alignment = self.metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or not 8 <= alignment <= 1 << 20 or alignment & (alignment - 1):
            raise ModelFileError(f"has the alignment {_short(alignment)}, which is no power of two from 8 on")
        begin = -(-self._at // alignment) * alignment
        tensors: dict[str, GgufTensor] = {}
        end = 0
        for name, shape, encoding, offset in sorted(infos, key=lambda info: info[3]):
            if name in tensors:
                raise ModelFileError(f"has two tensors called {_short(name)}")
            if offset % alignment:
                raise ModelFileError(
                    f"has {_short(name)} at {offset:,}, which is not a multiple of {alignment}"
                )
            if offset < end:
                raise ModelFileError(f"has {_short(name)} inside of another tensor")
            blocks = prod(shape) // encoding.length
            end = offset + blocks * encoding.size
            if begin + end > len(self._data):
                raise ModelFileError(
                    f"is cut short: {_short(name)} ends beyond its {len(self._data):,} bytes"
                )
            view = np.frombuffer(self._data, np.uint8, blocks * encoding.size, begin + offset)
            tensors[name] = GgufTensor(shape, encoding, view.reshape(blocks, encoding.size))
        return tensors

    def _info(self) -> tuple[str, tuple[int, ...], Encoding, int]:
        name = self._string()
        dimensions = self._u32()
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise ModelFileError(f"has {_short(name)} in {dimensions:,} dimensions")
        shape = tuple(reversed(struct.unpack(f"<{dimensions}Q", self._take(8 * dimensions))))
        kind, offset = self._u32(), self._u64()
        encoding = ENCODINGS.get(kind)
        if encoding is None:
            known = ", ".join(encoding.name for encoding in ENCODINGS.values())
            raise ModelFileError(f"has {_short(name)} in the unknown type {kind}; nczip reads {known}")
        if 0 in shape or shape[-1] % encoding.length:
            raise ModelFileError(
                f"has {_short(name)} in a shape that {encoding.name} cannot have: {list(shape)}"
            )
        return name, shape, encoding, offset


def _short(value: object) -> str:
    """Something out of the file as part of a sentence: a short line that commands no terminal."""
    text = "".join(char if char.isprintable() else "?" for char in str(value)[:64])
    return text or "(no name)"
