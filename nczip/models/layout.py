"""What is where in a model file, version 1 (formats/ncm.md): shared by what writes one and what reads one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from nczip.models.source import Architecture

MAGIC = b"\x89NCM\r\n\x1a\n"
VERSION = 1
ARITHMETIC = 1  # what the integers of this version mean: another way of packing weights gets another number
PREFIX = len(MAGIC) + 8  # and version and length of the header
ALIGNMENT = 64
ROWS, COLUMNS = 16, 4  # of one tile of a matrix
ZERO = 128  # a weight of 0 as u8
SIZES = {"u8": 1, "u32": 4, "f32": 4}


@dataclass(frozen=True)
class Spec:
    """A tensor: its name, the type of its values, and its shape, the last dimension running fastest."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """In bytes."""
        return prod(self.shape) * SIZES[self.dtype]


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def tensors(
    model: Architecture, *, entries: int, entry_bytes: int, tokenizer_bytes: int, tied: bool
) -> Iterator[Spec]:
    """Every tensor of a model, in the order of its file."""
    yield Spec("vocabulary.begin", "u32", (entries + 1,))
    yield Spec("vocabulary.bytes", "u8", (entry_bytes,))
    yield Spec("vocabulary.ids", "u32", (entries,))
    yield Spec("tokenizer", "u8", (tokenizer_bytes,))
    for index in range(max(kind.rope for kind in model.attention) + 1):
        yield Spec(f"rope.{index}", "u32", (model.head_dim // 2,))
    yield from _matrix("head", entries + 1, model.hidden)
    if not tied:
        yield from _matrix("embedding", entries + 1, model.hidden)
    yield Spec("final_norm", "f32", (model.hidden,))
    for layer in range(model.layers):
        for spec in _layer(model):
            yield Spec(f"layers.{layer}.{spec.name}", spec.dtype, spec.shape)


def _layer(model: Architecture) -> Iterator[Spec]:
    qkv = (model.heads + 2 * model.kv_heads) * model.head_dim
    yield Spec("attention_norm", "f32", (model.hidden,))
    yield from _matrix("qkv", qkv, model.hidden)
    if model.family == "qwen2":
        yield Spec("qkv.bias", "f32", (qkv,))
    if model.family in ("qwen3", "gemma3"):
        yield Spec("q_norm", "f32", (model.head_dim,))
        yield Spec("k_norm", "f32", (model.head_dim,))
    yield from _matrix("output", model.hidden, model.heads * model.head_dim)
    if model.family == "gemma3":
        yield Spec("post_attention_norm", "f32", (model.hidden,))
    yield Spec("ffn_norm", "f32", (model.hidden,))
    yield from _matrix("gate_up", 2 * model.ffn, model.hidden)
    yield from _matrix("down", model.hidden, model.ffn)
    if model.family == "gemma3":
        yield Spec("post_ffn_norm", "f32", (model.hidden,))


def _matrix(name: str, rows: int, columns: int) -> Iterator[Spec]:
    """A matrix in tiles, and one scale for each of its rows, both padded to whole tiles."""
    blocks = -(-rows // ROWS)
    yield Spec(name, "u8", (blocks, columns // COLUMNS, ROWS, COLUMNS))
    yield Spec(f"{name}.scale", "f32", (blocks * ROWS,))
