"""Blocks of numbers by method 5: what their elements are, one block packed, one unpacked."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nczip import _core, tensor_files
from nczip.errors import CorruptError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from nczip.base import Base
    from nczip.blocks import Step
    from nczip.layout import Hint, Place
    from nczip.tensor_files import TensorEntry

# As packed bytes number them and ``layout.Hint`` spells them; the last eight are ggml's quantised blocks.
KINDS = (
    *("BF16", "F16", "F32", "F64", "F8_E4M3", "F8_E5M2", "I8"),
    *("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"),
)
# Bytes of an element or a block of quants; integers of 8 bits come by 32.
UNITS = tuple(32 if kind == "I8" else tensor_files.UNITS[kind][1] for kind in KINDS)
GUESSED = ("bf16", "fp16", "fp32", "fp64", "fp8_e4m3", "fp8_e5m2", "int8")  # as ``numeric.Kind`` spells them
LONGEST_ROW = 1 << 20  # elements
STEP = 256 << 10  # raw bytes: some hundredths of a second
OFFSET = 8  # bytes that packed bytes begin with, where there is a reference
LEAST = 4 << 10  # bytes of a block, below which there is little to learn from
SAMPLES = 2, 5  # evenly spread; not the beginning, where tokens that no text has are all alike
SAMPLE_EVERY = 512 << 10  # bytes: another sample
SAMPLE = 16 << 10  # bytes


@dataclass(frozen=True, slots=True)
class Elements:
    """What a block consists of: ``kind`` is a position in KINDS, ``phase`` the bytes before the first unit
    (an element, or a block of quants), ``row`` elements or 0 if that is not known."""

    kind: int
    phase: int
    row: int


def guess(raw: memoryview, hint: Hint | None = None) -> Elements | None:
    """What a block's elements are, or None if they are not numbers that this method knows."""
    if len(raw) < LEAST:
        return None
    if hint is not None and hint.dtype in KINDS:
        return Elements(KINDS.index(hint.dtype), 0, hint.row if hint.row <= LONGEST_ROW else 0)
    kind, phase = _core.tensor_quants(raw)
    if kind < 0:
        from nczip import numeric

        found = numeric.guess(raw)
        if found is None or found.dtype not in GUESSED:
            return None
        kind, phase = GUESSED.index(found.dtype), found.phase
    return Elements(kind, phase, _core.tensor_row(raw, kind, phase))


@dataclass(frozen=True, slots=True)
class Reference:
    """Elements of a base, as many as a block has, that are coded by; ``offset`` is where they stand in it."""

    offset: int
    content: memoryview


def reference(
    base: Base, raw_size: int, elements: Elements, hint: Hint | None, place: Place
) -> Reference | None:
    """What a base has where a block stands: in the tensor of its name, or else at the same byte."""
    size = _units(elements, raw_size)
    entry = None if place.tensor is None else _namesake(base.tensors, place.tensor)
    start = place.offset
    if entry is not None:
        start = entry.start + place.inside
        if hint is not None and (entry.dtype, entry.row) != (hint.dtype, hint.row):
            return None
    start += elements.phase
    if size == 0 or start + size > (base.size if entry is None else entry.end):
        return None
    try:
        return Reference(start, base.read(start, size))
    except OSError:
        return None


def _namesake(tensors: dict[str, TensorEntry], name: str) -> TensorEntry | None:
    """The tensor of this name, or the only one that is of it but for what stands before a dot."""
    name = tensor_files.tensor_key(name)
    if name in tensors:
        return tensors[name]
    alike = [one for other, one in tensors.items() if f".{other}".endswith(f".{name}")]
    alike += [one for other, one in tensors.items() if name.endswith(f".{other}")]
    return alike[0] if len(alike) == 1 else None


def _units(elements: Elements, raw_size: int) -> int:
    """Bytes of a block that are whole units."""
    unit = UNITS[elements.kind]
    return max(0, raw_size - elements.phase) // unit * unit


def samples(
    raw: memoryview, elements: Elements, reference: Reference | None = None
) -> Iterator[tuple[memoryview, Elements, Reference | None]]:
    """Parts of a block, all of it if it is short, to compare methods by; what each has and is coded by."""
    fewest, most = SAMPLES
    count = min(most, fewest + len(raw) // SAMPLE_EVERY) if len(raw) > fewest * SAMPLE else 1
    size = SAMPLE if count > 1 else len(raw)
    for i in range(count):
        begin = (len(raw) - size) * (2 * i + 1) // (2 * count)
        consists = replace(elements, phase=(elements.phase - begin) % UNITS[elements.kind])
        part = None
        if reference is not None:
            at = begin + consists.phase - elements.phase
            content = reference.content[at : at + _units(consists, size)]
            part = Reference(reference.offset + at, content)
        yield raw[begin : begin + size], consists, part


def pack(raw: memoryview, elements: Elements, step: Step, reference: Reference | None = None) -> bytes | None:
    """The packed bytes of a block, by a reference or by itself; None as soon as they are more than it has."""
    content = None if reference is None else reference.content
    before = b"" if reference is None else reference.offset.to_bytes(OFFSET, "little")
    coder = _core.TensorEncoder(raw, elements.kind, elements.phase, elements.row, content)
    done = 0
    while done < len(raw):
        done = coder.advance(STEP)
        if coder.packed_size > len(raw):
            return None
        step(done, coder.packed_size)
    return before + coder.finish()


def unpack(packed: Buffer, raw_size: int, step: Step, base: Base | None = None) -> bytes:
    """A block's content, if the packed bytes are sound; with a base they begin with a place in it.

    Raises CorruptError, OSError.
    """
    view = memoryview(packed)
    content, packed_size = io.BytesIO(), view.nbytes
    try:
        referred = None if base is None else _referred(view, raw_size, base)
        decoder = _core.TensorDecoder(view if base is None else view[OFFSET:], raw_size, referred)
        while content.tell() < raw_size:
            content.write(decoder.decode(STEP))
            step(content.tell(), packed_size * content.tell() // raw_size)
    except ValueError as error:
        raise CorruptError(str(error)) from None
    return content.getvalue()


def _referred(packed: memoryview, raw_size: int, base: Base) -> memoryview:
    """What packed bytes say that they were coded by; all of that is a claim."""
    start, head = int.from_bytes(packed[:OFFSET], "little"), packed[OFFSET : OFFSET + 2]
    if len(head) < 2:
        raise CorruptError("the packed bytes end before the content")
    if head[0] >= len(KINDS):
        raise CorruptError("the packed bytes are not a tensor's")
    size = _units(Elements(head[0], head[1], 0), raw_size)
    if start + size > base.size:
        raise CorruptError("it refers to more than its base has")
    return base.read(start, size)


def memory(raw_size: int) -> int:
    """Bytes for a block in flight, beyond its content and its packed bytes."""
    return _core.tensor_memory(raw_size)
