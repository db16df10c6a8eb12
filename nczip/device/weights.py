"""A language model in a device's memory, in the order in which the kernels read it (cuda/tensor_core.hpp)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nczip import knowledge
from nczip.device.launching import Address, Array, Device, Memory

ROWS, DEPTH = 16, 32  # of a tile
ZERO = 128  # a weight of 0 in a model file


def tiles(size: int) -> int:
    """How many tiles hold ``size`` columns of a matrix."""
    return -(-size // DEPTH)


def fragments(panels: Array) -> Array:
    """Tiles as the lanes of a warp hold them, of a model file's panels [rows / 16, columns / 4, 16, 4].

    int8 [rows / 16, columns / 32, 32 lanes, 16], columns filled up with zeros: a lane's 16 bytes are depths
    4 (lane % 4) to 4 (lane % 4) + 3 of row lane / 4, the same of row lane / 4 + 8, then both for depths 16
    further.
    """
    count, quads = panels.shape[:2]
    filled = np.zeros((count, tiles(4 * quads) * (DEPTH // 4), ROWS, 4), np.int8)
    filled[:, :quads] = (panels ^ np.uint8(ZERO)).view(np.int8)
    # [panel, tile, half of the depth, place, half of the rows, group, 4]
    split = filled.reshape(count, -1, 2, 4, 2, 8, 4)
    return np.ascontiguousarray(split.transpose(0, 1, 5, 3, 2, 4, 6)).reshape(count, -1, 32, 16)


@dataclass(frozen=True, slots=True)
class Matrix:
    """``rows`` tiles of 16 rows, ``tiles`` tiles of 32 columns; ``bias`` 0 where there is none."""

    weights: Address
    scale: Address
    bias: Address
    rows: int
    tiles: int


@dataclass(frozen=True, slots=True)
class Layer:
    """``window``: how far back it looks, 0 for as far as the cache goes. Norms that it lacks are 0."""

    qkv: Matrix
    output: Matrix
    gate_up: Matrix
    down: Matrix
    attention_norm: Address
    q_norm: Address
    k_norm: Address
    post_attention_norm: Address
    ffn_norm: Address
    post_ffn_norm: Address
    rope: Address
    window: int


class Weights:
    """A model on a device. Takes what ``_core.LanguageModel`` takes, which has checked it."""

    def __init__(
        self,
        device: Device,
        architecture: Mapping[str, Any],
        attention: Sequence[Mapping[str, int]],
        tensors: Mapping[str, Array],
    ) -> None:
        self.device = device
        self.memory = Memory(device)
        self.hidden: int = architecture["hidden"]
        self.heads: int = architecture["heads"]
        self.kv_heads: int = architecture["kv_heads"]
        self.head_dim: int = architecture["head_dim"]
        self.ffn: int = architecture["ffn"]
        self.norm_eps: float = architecture["norm_eps"]
        self.embedding_scale: float = architecture["embedding_scale"]
        self.attention_scale: float = architecture["attention_scale"]
        self.gelu: bool = architecture["activation"] == "gelu_tanh"
        self.vocabulary = len(tensors["vocabulary.begin"]) - 1
        self.silent: Array = tensors["head.scale"][: self.vocabulary] == 0
        self.string_begin: Array = np.asarray(tensors["vocabulary.begin"], np.int64)
        self.string_bytes: Array = np.asarray(tensors["vocabulary.bytes"], np.uint8)
        self.lengths: Array = np.diff(self.string_begin)
        try:
            device.load(self.head_dim)
            self.begin = self.memory.holding(tensors["vocabulary.begin"])
            self.strings = self.memory.holding(tensors["vocabulary.bytes"])
            self._tensors = tensors
            self.head = self._matrix("head")
            self.embedding = self._matrix("embedding") if "embedding" in tensors else self.head
            self.final_norm = self._vector("final_norm")
            ropes = {kind["rope"]: self._vector(f"rope.{kind['rope']}") for kind in attention}
            self.layers = [
                self._layer(f"layers.{number}.", attention[kind], ropes)
                for number, kind in enumerate(architecture["layer_kinds"])
            ]
            del self._tensors
            device.wait()
        except BaseException:
            self.memory.free()
            raise

    @functools.cached_property
    def knowledge(self) -> Address:
        """What every mixture starts from."""
        return self.memory.holding(np.frombuffer(knowledge.load(), np.uint8))

    def products(self) -> int:
        """Multiplications of an 8-bit weight with an activation that a token takes, attention aside."""
        matrices = [self.head]
        for layer in self.layers:
            matrices += [layer.qkv, layer.output, layer.gate_up, layer.down]
        return sum(matrix.rows * ROWS * matrix.tiles * DEPTH for matrix in matrices)

    def spell(self, tokens: Array) -> bytes:
        """The bytes of ``tokens`` [n]."""
        begin, lengths = self.string_begin[tokens], self.lengths[tokens]
        shift = np.repeat(begin - (np.cumsum(lengths) - lengths), lengths)
        return self.string_bytes[shift + np.arange(len(shift))].tobytes()

    def _layer(self, at: str, kind: Mapping[str, int], ropes: Mapping[int, Address]) -> Layer:
        return Layer(
            qkv=self._matrix(f"{at}qkv"),
            output=self._matrix(f"{at}output"),
            gate_up=self._matrix(f"{at}gate_up"),
            down=self._matrix(f"{at}down"),
            attention_norm=self._vector(f"{at}attention_norm"),
            q_norm=self._vector(f"{at}q_norm"),
            k_norm=self._vector(f"{at}k_norm"),
            post_attention_norm=self._vector(f"{at}post_attention_norm"),
            ffn_norm=self._vector(f"{at}ffn_norm"),
            post_ffn_norm=self._vector(f"{at}post_ffn_norm"),
            rope=ropes[kind["rope"]],
            window=kind["window"],
        )

    def _vector(self, name: str) -> Address:
        return self.memory.holding(self._tensors[name]) if name in self._tensors else 0

    def _matrix(self, name: str) -> Matrix:
        ordered = fragments(self._tensors[name])
        return Matrix(
            weights=self.memory.holding(ordered),
            scale=self._vector(f"{name}.scale"),
            bias=self._vector(f"{name}.bias"),
            rows=ordered.shape[0],
            tiles=ordered.shape[1],
        )
