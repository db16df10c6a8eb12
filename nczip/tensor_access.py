"""One tensor of a compressed file of tensors: only the blocks of the header and its own are decoded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from nczip.errors import FormatError
from nczip.reader import Reader
from nczip.tensor_files import QUANTISED, TensorEntry, read_file

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    import numpy.typing as npt

    from nczip.base import BaseSources

_NUMPY = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "I16": "<i2", "U16": "<u2", "F16": "<f2", "I32": "<i4", "U32": "<u4",
    "F32": "<f4", "I64": "<i8", "U64": "<u8", "F64": "<f8",
}  # fmt: skip


class Tensors(Mapping[str, "npt.NDArray[Any]"]):
    """The tensors of an archive by name; each is decoded when it is asked for.

    Of a safetensors, GGUF, NPY (its name is "array") or NPZ file, or of a PyTorch checkpoint: by the keys
    that lead to them, joined by dots, and what is in no such tensor as uint8, by the name of its zip member.
    Tensors whose elements do not follow each other, and complex ones, are not among them.
    Nothing is unpickled. Types that NumPy lacks become float32 without loss (bf16, fp8); quantised ones are
    uint8 with the bytes of a row as the last axis. ``entries`` says type, shape and place of each. Raises
    FormatError if the content is no such file, and as Reader does.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        found = read_file(cast(BinaryIO, reader), reader.size)
        if not found:
            raise FormatError(
                "the content is no safetensors, GGUF, NPY or stored zip file of tensors that nczip knows"
            )
        self.entries = {entry.name: entry for entry in found}

    def read(self, name: str) -> bytes:
        """The bytes of a tensor as they lie in the file. Raises KeyError."""
        entry = self.entries[name]
        self._reader.seek(entry.start)
        return self._reader.read(entry.end - entry.start)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return _array(self.entries[name], self.read(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def close(self) -> None:
        """Closes the archive."""
        self._reader.close()

    def __enter__(self) -> Tensors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_tensors(
    file: str | os.PathLike[str] | BinaryIO,
    *,
    base: BaseSources | None = None,
    threads: int = 1,
    memory: int | None = None,
) -> Tensors:
    """The tensors of an archive: a path, or a file that can be sought; the rest is as in Reader."""
    from nczip import stream

    reader = stream.open(file, base=base, threads=threads, memory=memory)
    try:
        return Tensors(reader)
    except BaseException:
        reader.close()
        raise


def _array(entry: TensorEntry, data: bytes) -> npt.NDArray[Any]:
    import numpy as np

    shape = entry.shape
    if entry.dtype in _NUMPY:
        array = np.frombuffer(data, _NUMPY[entry.dtype])
    elif entry.dtype == "BF16":
        array = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    elif entry.dtype in ("F8_E4M3", "F8_E5M2"):
        array = _float8(entry.dtype)[np.frombuffer(data, np.uint8)]
    else:
        array = np.frombuffer(data, np.uint8)
        elements, size = QUANTISED.get(entry.dtype, (1, 1))
        shape = (*shape[:-1], shape[-1] // elements * size) if entry.dtype in QUANTISED else (len(data),)
    array = array.reshape(shape)
    return array.T if entry.is_transposed else array


def _float8(dtype: str) -> npt.NDArray[np.float32]:
    """The values of all bytes in one of the two 8-bit floats (Micikevicius and others, 2022)."""
    import numpy as np

    codes = np.arange(256)
    mantissa_bits, bias = (3, 7) if dtype == "F8_E4M3" else (2, 15)
    exponent, mantissa = codes >> mantissa_bits & (127 >> mantissa_bits), codes & ((1 << mantissa_bits) - 1)
    fraction = mantissa / (1 << mantissa_bits)
    values = np.where(exponent > 0, (1 + fraction) * 2.0 ** (exponent - bias), fraction * 2.0 ** (1 - bias))
    if dtype == "F8_E4M3":
        values[codes & 127 == 127] = np.nan
    else:
        values[exponent == 31] = np.where(mantissa[exponent == 31] == 0, np.inf, np.nan)
    return np.where(codes > 127, -values, values).astype(np.float32)
