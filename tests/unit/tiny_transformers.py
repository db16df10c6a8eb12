"""Small language models with random weights, of every family: as the core takes them, and as plain floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from nczip.models import rope
from nczip.models.convert import quantise
from nczip.reference.arithmetic import Floats

Arguments = tuple[dict[str, Any], list[dict[str, int]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Shape:
    """``local``: the window of every other layer, which has another rope; 0: all layers see everything."""

    hidden: int = 64
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    ffn: int = 96
    layers: int = 2
    entries: int = 300
    activation: str = "silu"
    embedding_scale: float = 1.0
    local: int = 0
    tied: bool = True
    biases: bool = False
    head_norms: bool = False
    post_norms: bool = False


SHAPES = {
    "llama": Shape(),
    "qwen2": Shape(biases=True, heads=6, ffn=48),
    "qwen3": Shape(hidden=32, head_norms=True, entries=271),
    "gemma3": Shape(
        layers=3,
        activation="gelu_tanh",
        embedding_scale=8.0,
        local=16,
        head_norms=True,
        post_norms=True,
        entries=320,
    ),
    "untied": Shape(tied=False, hidden=48, ffn=64, entries=257),
    "a head for each query": Shape(heads=2, head_dim=32),
    "more than its heads hold": Shape(hidden=96, heads=2, kv_heads=1, ffn=16, layers=1),
}
SILENT = range(0x80, 0x90)  # bytes that some models have no token for


def vocabulary(entries: int) -> list[bytes]:
    """All bytes, and pairs and triples of letters, in order."""
    singles = [bytes([byte]) for byte in range(256)]
    longer = [bytes(letters) for size in (2, 3) for letters in product(b"aeinrst", repeat=size)]
    return sorted(singles + longer[: entries - 256])


class Tiny:
    """A model; ``floats`` has its weights by name as they are applied, matrices as [rows, columns]."""

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        self.shape = shape
        self._random = np.random.default_rng(seed)
        self.floats: dict[str, Floats] = {}
        strings = vocabulary(shape.entries)
        self.tensors: dict[str, np.ndarray] = {
            "vocabulary.begin": np.cumsum([0, *map(len, strings)], dtype=np.uint32),
            "vocabulary.bytes": np.frombuffer(b"".join(strings), np.uint8),
        }
        for i in range(1 + (shape.local > 0)):
            steps = rope.plain((10000.0, 100.0)[i], shape.head_dim // 2).steps()
            self.tensors[f"rope.{i}"] = np.array(steps, np.uint32)
        kinds = [{"window": 0, "rope": 0}]
        if shape.local:
            kinds.append({"window": shape.local, "rope": 1})
        self.attention = kinds
        self.architecture: dict[str, Any] = {
            "layers": shape.layers,
            "hidden": shape.hidden,
            "heads": shape.heads,
            "kv_heads": shape.kv_heads,
            "head_dim": shape.head_dim,
            "ffn": shape.ffn,
            "norm_eps": 1e-5,
            "activation": shape.activation,
            "embedding_scale": shape.embedding_scale,
            "attention_scale": shape.head_dim**-0.5,
            "layer_kinds": [(i + 1) % 2 if shape.local else 0 for i in range(shape.layers)],
        }
        self._fill()

    @property
    def arguments(self) -> Arguments:
        """What _core.LanguageModel and the reference are made from."""
        return self.architecture, self.attention, self.tensors

    def tokens(self, count: int) -> np.ndarray:
        """The beginning of a block, then ``count - 1`` random tokens, of which some come again."""
        few = self._random.integers(0, self.shape.entries, 24)
        tokens = np.where(
            self._random.random(count) < 0.6,
            few[self._random.integers(0, len(few), count)],
            self._random.integers(0, self.shape.entries, count),
        )
        tokens[0] = self.shape.entries
        return tokens.astype(np.uint32)

    def text(self, count: int) -> tuple[bytes, np.ndarray]:
        """What ``count`` tokens spell, and these."""
        tokens = self.tokens(count + 1)[1:]
        return self.spelled(tokens), tokens

    def spelled(self, tokens: np.ndarray) -> bytes:
        begin, strings = self.tensors["vocabulary.begin"], self.tensors["vocabulary.bytes"].tobytes()
        return b"".join(strings[begin[token] : begin[token + 1]] for token in tokens)

    def _fill(self) -> None:
        shape = self.shape
        attended, kept = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self._matrix("head", shape.entries + 1, shape.hidden, 1.5)
        if not shape.tied:
            self._matrix("embedding", shape.entries + 1, shape.hidden, 1.0)
        self._gain("final_norm", shape.hidden)
        for i in range(shape.layers):
            at = f"layers.{i}"
            norms = ["attention_norm", "ffn_norm"]
            if shape.post_norms:
                norms += ["post_attention_norm", "post_ffn_norm"]
            for norm in norms:
                self._gain(f"{at}.{norm}", shape.hidden)
            for norm in ("q_norm", "k_norm") if shape.head_norms else ():
                self._gain(f"{at}.{norm}", shape.head_dim)
            self._matrix(f"{at}.qkv", attended + 2 * kept, shape.hidden, 1.5)
            if shape.biases:
                self._vector(f"{at}.qkv.bias", self._random.normal(0, 0.5, attended + 2 * kept))
            self._matrix(f"{at}.output", shape.hidden, attended, 1.0)
            self._matrix(f"{at}.gate_up", 2 * shape.ffn, shape.hidden, 1.5)
            self._matrix(f"{at}.down", shape.hidden, shape.ffn, 1.0)

    def _gain(self, name: str, size: int) -> None:
        self._vector(name, self._random.normal(1, 0.25, size))

    def _vector(self, name: str, values: np.ndarray) -> None:
        self.tensors[name] = self.floats[name] = values.astype(np.float32)

    def _matrix(self, name: str, rows: int, columns: int, gain: float) -> None:
        weights = self._random.normal(0, gain / columns**0.5, (rows, columns)).astype(np.float32)
        # Rows differ in size, as they do in real models.
        weights *= np.exp2(self._random.normal(0, 0.5, (rows, 1))).astype(np.float32)
        integers, scale = quantise(weights)
        self.floats[name] = integers.astype(np.float32) * scale[:, None]
        padding = -rows % 16
        tiles = np.pad(integers.astype(np.int16) + 128, ((0, padding), (0, 0)), constant_values=128)
        self.tensors[name] = np.ascontiguousarray(
            tiles.astype(np.uint8).reshape(-1, 16, columns // 4, 4).swapaxes(1, 2)
        )
        self.tensors[f"{name}.scale"] = np.pad(scale, (0, padding))


def with_silent_bytes() -> Tiny:
    """A new model of the first shape, for which SILENT bytes never come."""
    tiny = Tiny(SHAPES["llama"])
    strings, begin = tiny.tensors["vocabulary.bytes"], tiny.tensors["vocabulary.begin"]
    tiny.tensors["head.scale"][: tiny.shape.entries][np.isin(strings[begin[:-1]], SILENT)] = 0
    return tiny


def scaled(arguments: Arguments, factors: Sequence[tuple[str, float]]) -> Arguments:
    """The model with tensors multiplied: those whose name ends with the first of a pair, by the second."""
    architecture, attention, tensors = arguments
    changed = {}
    for name, values in tensors.items():
        factor = next((factor for end, factor in factors if name.endswith(end)), None)
        changed[name] = values if factor is None else (values * np.float32(factor)).astype(np.float32)
    return architecture, attention, changed
