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

    from nczip.blocks import Step
    from nczip.layout import Hint

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
LEAST = 4 << 10  # bytes of a block, below which there is little to learn from
SAMPLES = 3  # from a block's beginning, middle and end
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


def samples(raw: memoryview, elements: Elements) -> Iterator[tuple[memoryview, Elements]]:
    """Parts of a block, all of it if it is short, to compare methods by; and what each consists of."""
    count = SAMPLES if len(raw) > SAMPLES * SAMPLE else 1
    size = SAMPLE if count > 1 else len(raw)
    for i in range(count):
        begin = (len(raw) - size) * i // max(1, count - 1)
        phase = (elements.phase - begin) % UNITS[elements.kind]
        yield raw[begin : begin + size], replace(elements, phase=phase)


def pack(raw: memoryview, elements: Elements, step: Step) -> bytes | None:
    """The packed bytes of a block; None as soon as they are more than it has."""
    coder = _core.TensorEncoder(raw, elements.kind, elements.phase, elements.row)
    done = 0
    while done < len(raw):
        done = coder.advance(STEP)
        if coder.packed_size > len(raw):
            return None
        step(done, coder.packed_size)
    return coder.finish()


def unpack(packed: Buffer, raw_size: int, step: Step) -> bytes:
    """A block's content, if the packed bytes are sound. Raises CorruptError."""
    content, packed_size = io.BytesIO(), memoryview(packed).nbytes
    try:
        decoder = _core.TensorDecoder(packed, raw_size)
        while content.tell() < raw_size:
            content.write(decoder.decode(STEP))
            step(content.tell(), packed_size * content.tell() // raw_size)
    except ValueError as error:
        raise CorruptError(str(error)) from None
    return content.getvalue()


def memory(raw_size: int) -> int:
    """Bytes for a block in flight, beyond its content and its packed bytes."""
    return _core.tensor_memory(raw_size)
