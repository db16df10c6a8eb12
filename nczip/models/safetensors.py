"""Safetensors files (Hugging Face, 2022): a JSON header, then tensors; nothing in them is executed."""

from __future__ import annotations

import json
import mmap
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from nczip.errors import ModelFileError
from nczip.models.gguf import ENCODINGS, GgufTensor

_LONGEST_HEADER = 16 << 20
_PREFIX = 8  # bytes: the length of the header
# The types that models come in are encoded as in GGUF.
_TYPES = {"F32": ENCODINGS[0], "F16": ENCODINGS[1], "BF16": ENCODINGS[30]}


def tensors(path: Path) -> dict[str, GgufTensor]:
    """The tensors of a file by name. Raises ModelFileError."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < _PREFIX:
            raise ModelFileError(f"has a {path.name} that is cut short")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(data[:_PREFIX], "little")
    if length > min(_LONGEST_HEADER, size - _PREFIX):
        raise ModelFileError(f"has a {path.name} that is cut short, or whose header is too long")
    begin = _PREFIX + length
    try:
        header = json.loads(data[_PREFIX:begin].decode())
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"has a {path.name} whose header is not JSON") from error
    if not isinstance(header, dict):
        raise ModelFileError(f"has a {path.name} whose header is no object")
    header.pop("__metadata__", None)
    found: dict[str, GgufTensor] = {}
    claims = [_claim(path, name, claimed) for name, claimed in header.items()]
    end = 0
    for name, tensor_type, shape, (first, last) in sorted(claims, key=lambda claim: claim[3]):
        encoding = _TYPES[tensor_type]
        if first < end or last - first != prod(shape) * encoding.size or begin + last > size:
            raise ModelFileError(f"has {name[:64]!r} in {path.name} where it cannot be")
        end = last
        view = np.frombuffer(data, np.uint8, last - first, begin + first)
        found[name] = GgufTensor(shape, encoding, view.reshape(-1, encoding.size))
    return found


def _claim(path: Path, name: str, claimed: Any) -> tuple[str, str, tuple[int, ...], tuple[int, int]]:
    """What a header says of one tensor: name, type, shape, first byte and the one after the last."""
    try:
        kind, shape, (first, last) = claimed["dtype"], tuple(claimed["shape"]), claimed["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"has a {path.name} that does not say where {name[:64]!r} is") from error
    if not isinstance(kind, str) or kind not in _TYPES:
        known = ", ".join(_TYPES)
        raise ModelFileError(f"has {name[:64]!r} in the type {str(kind)[:16]!r}; nczip reads {known}")
    if not shape or not all(type(number) is int and number >= 0 for number in (*shape, first, last)):
        raise ModelFileError(f"has {name[:64]!r} in {path.name} where it cannot be")
    if 0 in shape:
        raise ModelFileError(f"has {name[:64]!r} in {path.name} without numbers")
    return name, kind, shape, (first, last)
