"""The common form of a language model that is to become a model file, whatever it was published as."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nczip.errors import ModelFileError
from nczip.models.rope import Rope

Index = npt.NDArray[np.int64]

FAMILIES = ("llama", "qwen2", "qwen3", "gemma3")
ACTIVATIONS = ("silu", "gelu_tanh")


class Tensor(Protocol):
    """A tensor whose floats are made when they are asked for, some rows at a time."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def rows(self, index: Index) -> npt.NDArray[np.float32]:
        """The rows [len(index), shape[-1]] that ``index`` names; a vector is one row."""
        ...


@dataclass(frozen=True)
class Selection:
    """Rows of another tensor, in the order of ``order``."""

    tensor: Tensor
    order: Index

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    def rows(self, index: Index) -> npt.NDArray[np.float32]:
        return self.tensor.rows(self.order[index])


@dataclass(frozen=True)
class Attention:
    """One kind of layer: how far back it looks (0: all the way), and which rotary table it takes."""

    window: int
    rope: int


@dataclass(frozen=True)
class Architecture:
    """A transformer's numbers, named as in the header of a model file; floats are float32 values."""

    family: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    context: int
    norm_eps: float
    activation: str
    embedding_scale: float
    attention_scale: float
    attention: tuple[Attention, ...]
    layer_kinds: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raises ModelFileError for what no model file can hold."""
        counts = (self.layers, self.hidden, self.heads, self.kv_heads, self.head_dim, self.ffn, self.context)
        scales = (self.norm_eps, self.embedding_scale, self.attention_scale)
        sound = (
            self.family in FAMILIES
            and self.activation in ACTIVATIONS
            and min(counts) > 0
            and max(counts) < 1 << 31
            and all(0 < scale < float("inf") for scale in scales)
            and len(self.layer_kinds) == self.layers
            and all(0 <= kind < len(self.attention) for kind in self.layer_kinds)
            and all(
                0 <= kind.window < 1 << 31 and 0 <= kind.rope < len(self.attention) for kind in self.attention
            )
        )
        if not sound:
            raise ModelFileError("describes a model that cannot be")
        if self.heads % self.kv_heads or self.head_dim % 2 or self.hidden % 4 or self.ffn % 16:
            raise ModelFileError(
                f"has a shape that nczip does not take: hidden {self.hidden}, heads {self.heads} of "
                f"{self.head_dim}, key-value heads {self.kv_heads}, feed-forward {self.ffn}"
            )
        if self.heads * self.head_dim % 4:
            raise ModelFileError(f"has {self.heads} heads of {self.head_dim}, which is no multiple of 4")


@dataclass(frozen=True)
class Tokenizer:
    """How text becomes tokens.

    ``strings`` holds the bytes of each token id, None for one that stands for no text; ``fallback`` the ids
    that spell a byte which no other token has; ``json`` a ``tokenizers`` file that yields these ids.
    """

    strings: Sequence[bytes | None]
    fallback: frozenset[int]
    bos: int | None
    json: bytes


@dataclass(frozen=True)
class Source:
    """A model in the common form.

    ``tensors`` go by the names of a model file, unpacked: layers.N.q, k, v, q_bias, k_bias, v_bias, gate, up
    stand for what is joined there; ``head`` is missing where the embedding serves as both.
    """

    kind: str
    sha256: str
    license: str
    name: str
    architecture: Architecture
    ropes: tuple[Rope, ...]
    tokenizer: Tokenizer
    tensors: Mapping[str, Tensor] = field(repr=False)


def shortest(value: float) -> float:
    """The float with the fewest digits that is the same float32 as ``value``."""
    return float(str(np.float32(value)))


def bfloat16_root(hidden: int) -> float:
    """The square root of a width in bfloat16: by this Gemma scales what it looks up in its embedding."""
    bits = int(np.float32(math.sqrt(hidden)).view(np.uint32))
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return shortest(float(np.uint32(rounded).view(np.float32)))


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
