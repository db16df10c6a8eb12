"""From the common form to a model file: the same input gives the same bytes on every machine.

All arithmetic on weights is elementwise IEEE-754 binary32, and exact maxima.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from nczip.errors import ModelFileError
from nczip.models import layout, vocabulary
from nczip.models.source import Index, Source, Tensor

Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]

_STRIP = 1024  # rows that are floats at one time
_LIMIT = np.float32(127)


def write(source: Source, sink: BinaryIO, *, name: str, on_progress: Progress) -> None:
    """Writes the model file of ``source``. ``on_progress`` gets the bytes written and the bytes in all.

    Raises ModelFileError for what is missing, of the wrong shape, or not finite.
    """
    model = source.architecture
    entries, ids = vocabulary.build(source.tokenizer.strings, source.tokenizer.fallback)
    joined = b"".join(entries)
    specs = list(
        layout.tensors(
            model,
            entries=len(entries),
            entry_bytes=len(joined),
            tokenizer_bytes=len(source.tokenizer.json),
            tied="head" not in source.tensors,
        )
    )
    _refuse_others(source, specs)
    _write_header(source, name, specs, len(entries), sink)
    total = sum(layout.aligned(spec.size) for spec in specs)

    small: dict[str, npt.NDArray[Any]] = {
        "vocabulary.begin": np.cumsum([0, *map(len, entries)], dtype=np.uint32),
        "vocabulary.bytes": np.frombuffer(joined, np.uint8),
        "vocabulary.ids": ids,
        "tokenizer": np.frombuffer(source.tokenizer.json, np.uint8),
    }
    small |= {f"rope.{i}": np.array(rope.steps(), np.uint32) for i, rope in enumerate(source.ropes)}
    written = 0
    scales: Floats | None = None
    for spec in specs:
        if spec.name in small:
            values = small[spec.name]
        elif spec.name.endswith(".scale"):
            assert scales is not None
            values = scales
        elif len(spec.shape) == 1:
            values = _vector(source, spec)
        else:
            values, scales = _tiles(list(_parts(source, spec.name, ids)), spec)
        assert values.size * values.itemsize == spec.size
        sink.write(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).data)
        sink.write(bytes(layout.aligned(spec.size) - spec.size))
        written += layout.aligned(spec.size)
        on_progress(written, total)


def _write_header(source: Source, name: str, specs: list[layout.Spec], entries: int, sink: BinaryIO) -> None:
    model = source.architecture
    architecture = {key: value for key, value in vars(model).items() if key != "attention"}
    offset, tensors = 0, []
    for spec in specs:
        tensors.append({"name": spec.name, "dtype": spec.dtype, "shape": spec.shape, "offset": offset})
        offset += layout.aligned(spec.size)
    header = {
        "name": name,
        "license": source.license,
        "source": {"kind": source.kind, "sha256": source.sha256},
        "arithmetic": layout.ARITHMETIC,
        "architecture": architecture,
        "attention": [vars(kind) for kind in model.attention],
        "vocabulary": {
            "size": entries,
            "bos": None if source.tokenizer.bos is None else entries,
            "tied": "head" not in source.tensors,
        },
        "tensors": tensors,
    }
    text = json.dumps(header, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    packed = text.encode()
    padded = packed.ljust(layout.aligned(layout.PREFIX + len(packed)) - layout.PREFIX)
    sink.write(layout.MAGIC + struct.pack("<II", layout.VERSION, len(padded)) + padded)


def quantise(weights: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Rows of weights as integers from -127 to 127 and one scale a row: weight = integer * scale, nearly.

    A row whose scale is 0, or so small that it rounds to 0, has integers of 0. Raises ModelFileError for a
    row that is not finite.
    """
    if not np.isfinite(weights).all():
        raise ModelFileError("has weights that are not finite numbers")
    scales = np.abs(weights).max(axis=1) / _LIMIT
    divisors = np.where(
        scales == 0, np.float32(np.inf), scales
    )  # of a row that is all but zero nothing remains
    # A scale below the smallest normal number is so coarse that the quotient can pass 127.
    integers = np.clip(np.rint(weights / divisors[:, None]), -_LIMIT, _LIMIT)
    return integers.astype(np.int8), scales


def _tiles(parts: list[tuple[Tensor, Index]], spec: layout.Spec) -> tuple[npt.NDArray[np.uint8], Floats]:
    """The rows of ``parts`` one after the other, quantised and in tiles; an index of -1 is a row of zeros."""
    blocks, columns = spec.shape[0], spec.shape[1] * layout.COLUMNS
    values = np.full((blocks * layout.ROWS, columns), layout.ZERO, np.uint8)
    scales = np.zeros(blocks * layout.ROWS, np.float32)
    row = 0
    for tensor, index in parts:
        for at in range(0, len(index), _STRIP):
            wanted = index[at : at + _STRIP]
            there = np.flatnonzero(wanted >= 0) + row
            integers, scales[there] = quantise(tensor.rows(wanted[wanted >= 0]))
            values[there] = integers.astype(np.int16) + layout.ZERO
            row += len(wanted)
    return values.reshape(blocks, layout.ROWS, -1, layout.COLUMNS).swapaxes(1, 2), scales


def _parts(source: Source, name: str, ids: npt.NDArray[np.uint32]) -> Iterator[tuple[Tensor, Index]]:
    """The tensors, and which of their rows, that the matrix ``name`` consists of."""
    model = source.architecture
    if name in ("head", "embedding"):
        tensor = _tensor(source, name if name in source.tensors else "embedding", columns=model.hidden)
        rows = ids.astype(np.int64)
        rows[ids == vocabulary.NO_ID] = -1
        bos = source.tokenizer.bos
        rows = np.append(rows, -1 if bos is None else bos)
        if rows.max() >= tensor.shape[0]:
            raise ModelFileError(f"has {tensor.shape[0]:,} rows in its {name}, and a token {rows.max():,}")
        yield tensor, rows
        return
    layer, _, what = name.rpartition(".")
    attended, kept = model.heads * model.head_dim, model.kv_heads * model.head_dim
    if what == "qkv":
        for part, count in (("q", attended), ("k", kept), ("v", kept)):
            yield _tensor(source, f"{layer}.{part}", count, model.hidden), np.arange(count)
    elif what == "gate_up":
        gate, up = (_tensor(source, f"{layer}.{part}", model.ffn, model.hidden) for part in ("gate", "up"))
        for row in range(0, model.ffn, layout.ROWS):
            yield gate, np.arange(row, row + layout.ROWS)
            yield up, np.arange(row, row + layout.ROWS)
    else:
        columns = attended if what == "output" else model.ffn
        yield _tensor(source, name, model.hidden, columns), np.arange(model.hidden)


_JOINED = {
    "qkv": ("q", "k", "v"),
    "qkv.bias": ("q_bias", "k_bias", "v_bias"),
    "gate_up": ("gate", "up"),
}


def _refuse_others(source: Source, specs: list[layout.Spec]) -> None:
    """A model with more tensors than its family has would be another model without them."""
    used = {"embedding"}
    for spec in specs:
        name = re.fullmatch(r"(layers\.\d+\.)(.+)", spec.name)
        used |= {name[1] + part for part in _JOINED.get(name[2], (name[2],))} if name else {spec.name}
    others = sorted(source.tensors.keys() - used)
    if others:
        raise ModelFileError(f"has {others[0][:64]}, which a {source.architecture.family} does not have")


def _vector(source: Source, spec: layout.Spec) -> Floats:
    """A norm's gains, or a bias, as float32."""
    if spec.name.endswith(".qkv.bias"):
        layer = spec.name.removesuffix("qkv.bias")
        model = source.architecture
        counts = (model.heads, model.kv_heads, model.kv_heads)
        values = np.concatenate(
            [
                _tensor(source, f"{layer}{part}_bias", count * model.head_dim).rows(np.arange(1))[0]
                for part, count in zip("qkv", counts, strict=True)
            ]
        )
    else:
        values = _tensor(source, spec.name, *spec.shape).rows(np.arange(1))[0]
    if not np.isfinite(values).all():
        raise ModelFileError(f"has numbers in {spec.name} that are not finite")
    return values


def _tensor(source: Source, name: str, *shape: int, columns: int | None = None) -> Tensor:
    """A tensor of the source that has to be there, in this shape or with this many columns."""
    tensor = source.tensors.get(name)
    if tensor is None:
        raise ModelFileError(f"lacks the tensor that nczip calls {name}")
    fits = tensor.shape == shape if columns is None else tensor.shape[1:] == (columns,)
    if not fits:
        wanted = list(shape) if columns is None else ["any", columns]
        raise ModelFileError(f"has {name} in the shape {list(tensor.shape)}, not {wanted}")
    return tensor
