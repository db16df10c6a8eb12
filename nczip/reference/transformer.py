"""The language model: a transformer (Vaswani and others, 2017) whose sums are integers.

The same numbers as nczip/native/transformer.hpp, to the bit, for all positions at once and without a cache:
what the core keeps of the past, and how many tokens pass at a time, changes nothing.

Three rules make it so. A product of a matrix is a sum of integers: weights have 8 bits, what they are
multiplied with has 12 and a scale. Everything between is elementwise binary32, with the functions of
``arithmetic``. The one sum of binary32 numbers, that of squares in a norm, has a pinned order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nczip.reference.arithmetic import LANES, ONE, ROUNDER, Floats, exp2, lane_sum, polynomial

if TYPE_CHECKING:
    from nczip.models.ncm import Model

Integers = NDArray[np.float64]  # integers below 2^53, which binary64 adds and multiplies exactly
Tensors = Mapping[str, NDArray[Any]]

LOG2_E = np.float32(float.fromhex("0x1.715476p+0"))
LARGEST = np.float32(2.0**60)  # what is larger, or no number, becomes this: hostile weights overflow
SMALLEST = np.float32(2.0**-100)  # a row whose largest magnitude is not above this is a row of zeros

ACTIVATION = 2047  # the largest of the integers that activations and queries become
CACHED = 127  # of those that keys and values become
ATTENTION = 8191  # of those that attention weights become, unless too many are large:
MOST_ATTENTION = np.float32(16_760_000)  # what they are together, at most, so that sums of values fit
TOTAL_BITS = 17  # of the weight of a position with the highest score, in the sum that weights are divided by

SINKS = 4  # the first positions, which stay visible: attention sinks (Xiao and others, 2023)

# (2 pi)^k / k! with alternating signs, for k = 11, 9, ... 1: the sine of x turns is x times this, in x^2.
SINE = "-0x1.e3075p+3 0x1.507834p+5 -0x1.32d2ccp+6 0x1.466bc6p+6 -0x1.4abbcep+5 0x1.921fb6p+2"
QUARTER = 1 << 30  # turn, in units of 2^-32

GELU_SLOPE = np.float32(float.fromhex("0x1.988454p+0"))  # sqrt(8 / pi)
GELU_CUBE = np.float32(float.fromhex("0x1.6e4e26p-5"))  # 0.044715


def finite(x: Floats) -> Floats:
    """``x`` cut to what later steps can take."""
    below = np.where(x < LARGEST, x, LARGEST)  # a NaN is not less
    cut: Floats = np.maximum(below, -LARGEST)
    return cut


def steps_of(x: Floats, most: int | Floats) -> tuple[Integers, Floats]:
    """Rows [..., n] as the nearest integers of -most to most, ties to even; the scale [...] of each."""
    x, limit = finite(x), np.asarray(most, np.float32)
    top = np.abs(x).max(axis=-1)
    nothing = top <= SMALLEST
    safe = np.where(nothing, ONE, top)
    scale = np.where(nothing, np.float32(0), safe / limit)
    factor = np.where(nothing, np.float32(0), limit / safe)
    return nearest(x * factor[..., np.newaxis]), scale


def nearest(x: Floats) -> Integers:
    return ((x + ROUNDER) - ROUNDER).astype(np.float64)


def rms_norm(x: Floats, gain: Floats, epsilon: np.float32) -> Floats:
    """Rows [..., n] over their root mean square, times ``gain`` [n]."""
    mean = lane_sum(x * x) / np.float32(x.shape[-1])
    factor = ONE / np.sqrt(mean + epsilon)
    normed: Floats = x * factor[..., np.newaxis] * gain
    return normed


def sine(phase: NDArray[np.uint32]) -> Floats:
    """Of phases in units of 2^-32 turn."""
    x = phase.view(np.int32).astype(np.int64)
    x = np.where(x > QUARTER, 2 * QUARTER - x, np.where(x < -QUARTER, -2 * QUARTER - x, x))
    turns = x.astype(np.float32) * np.float32(2.0**-32)
    return polynomial(SINE, turns * turns) * turns


def rotated(x: Floats, phases: NDArray[np.uint32]) -> Floats:
    """Vectors [n, heads, dims] with pair i, the dimensions i and i + dims / 2, turned by phases[n, i]."""
    sin, cos = sine(phases)[:, np.newaxis], sine(phases + np.uint32(QUARTER))[:, np.newaxis]
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def silu(x: Floats) -> Floats:
    """x / (1 + e^-x)."""
    return x / (ONE + exp2(-(x * LOG2_E)))


def gelu(x: Floats) -> Floats:
    """In the form with tanh, which is logistic too: x / (1 + e^(-sqrt(8 / pi) (x + 0.044715 x^3)))."""
    return x / (ONE + exp2(-(GELU_SLOPE * (x + GELU_CUBE * x * x * x) * LOG2_E)))


@dataclass(frozen=True)
class Matrix:
    """``weights`` [rows, columns]: integers of -127 to 127; ``scale`` [rows]; ``bias`` [rows] or none."""

    weights: NDArray[np.int8]
    scale: Floats
    bias: Floats | None

    @classmethod
    def of(cls, tensors: Tensors, name: str, rows: int) -> Self:
        """From tiles of 16 rows times 4 columns, weights plus 128 (formats/ncm.md)."""
        tiles = tensors[name]
        weights = tiles.swapaxes(1, 2).reshape(tiles.shape[0] * LANES, -1)[:rows].astype(np.int16) - 128
        return cls(weights.astype(np.int8), tensors[f"{name}.scale"][:rows], tensors.get(f"{name}.bias"))

    def __call__(self, x: Floats, unit: np.float32 = ONE) -> Floats:
        """Products of rows x [n, columns] with all rows: [n, rows], in units of 1 / ``unit``."""
        integers, scale = steps_of(x, ACTIVATION)
        sums = (integers @ self.weights.T.astype(np.float64)).astype(np.float32)
        y = sums * (scale * unit)[:, np.newaxis] * self.scale
        return y if self.bias is None else y + self.bias


class Transformer:
    """A model as its file has it: two parts of the header, and the tensors by name."""

    def __init__(
        self, architecture: Mapping[str, Any], attention: Sequence[Mapping[str, int]], tensors: Tensors
    ) -> None:
        self.architecture, self.attention, self.tensors = architecture, attention, tensors
        self.hidden, self.heads, self.dims = (architecture[k] for k in ("hidden", "heads", "head_dim"))
        self.kept = architecture["kv_heads"]
        self.epsilon = np.float32(architecture["norm_eps"])
        self.score_unit = np.float32(architecture["attention_scale"]) * LOG2_E  # scores are in bits
        self.vocabulary = len(tensors["vocabulary.begin"]) - 1
        rows = self.vocabulary + 1  # after the vocabulary's last the beginning of a block
        self.head = Matrix.of(tensors, "head", rows)
        self.embedding = Matrix.of(tensors, "embedding", rows) if "embedding" in tensors else self.head

    @classmethod
    def of(cls, model: Model) -> Self:
        return cls(model.header["architecture"], model.header["attention"], model.tensors)

    def strings(self) -> list[bytes]:
        """The vocabulary."""
        joined = self.tensors["vocabulary.bytes"].tobytes()
        return [joined[begin:end] for begin, end in pairwise(self.tensors["vocabulary.begin"].tolist())]

    def logits(self, window: int, tokens: ArrayLike) -> Floats:
        """What follows each of ``tokens`` [n], at positions 0, 1, ...: [n, vocabulary], in bits."""
        return self.logits_of(self.states(window, tokens))

    def logits_of(self, states: Floats) -> Floats:
        """The logits [n, vocabulary] that follow from states [n, hidden]."""
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            return self.head(states, LOG2_E)[:, : self.vocabulary]

    def states(self, window: int, tokens: ArrayLike) -> Floats:
        """The last hidden states [n, hidden] of ``tokens`` [n], which stand at positions 0, 1, ...

        ``window``: about how many positions a token sees, a multiple of 16.
        """
        x = self.embed(np.asarray(tokens, np.int64))
        # Weights without bounds may overflow: that is defined too.
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            for layer in range(self.architecture["layers"]):
                x = x + self.attend(layer, x, window)
                x = x + self.feed_forward(layer, x)
            return self.norm("final_norm", x)

    def embed(self, tokens: NDArray[np.int64]) -> Floats:
        rows = self.embedding.weights[tokens].astype(np.float32)
        scale = self.embedding.scale[tokens][:, np.newaxis]
        return rows * scale * np.float32(self.architecture["embedding_scale"])

    def norm(self, name: str, x: Floats) -> Floats:
        """``x`` as it is, where the model lacks this norm."""
        gain = self.tensors.get(name)
        return x if gain is None else rms_norm(x, gain, self.epsilon)

    def matrix(self, name: str, rows: int) -> Matrix:
        return Matrix.of(self.tensors, name, rows)

    def attend(self, layer: int, x: Floats, window: int) -> Floats:
        """What attention adds to the rows x [n, hidden]."""
        at = f"layers.{layer}"
        kind = self.attention[self.architecture["layer_kinds"][layer]]
        widths = np.array([self.heads, self.kept, self.kept]) * self.dims
        qkv = self.matrix(f"{at}.qkv", widths.sum())(self.norm(f"{at}.attention_norm", x))
        q, k, v = (part.reshape(len(x), -1, self.dims) for part in np.split(qkv, widths.cumsum()[:2], axis=1))

        position = np.arange(len(x), dtype=np.uint32)
        q = self.norm(f"{at}.q_norm", q)
        k = self.norm(f"{at}.k_norm", k)
        phase = position[:, np.newaxis] * self.tensors[f"rope.{kind['rope']}"]
        keys, values = steps_of(rotated(k, phase), CACHED), steps_of(v, CACHED)

        # From afar the first positions look as if they were at the far end of the window.
        clipped = np.minimum(position, np.uint32(window - 1))
        far = clipped[:, np.newaxis] * self.tensors[f"rope.{kind['rope']}"]
        near_scores = self.scores(rotated(q, phase), keys)
        sinks = position < SINKS if kind["window"] == 0 else np.zeros(len(x), bool)
        scores = np.where(sinks, self.scores(rotated(q, far), keys), near_scores)

        reach = window - SINKS
        if kind["window"] != 0:
            reach = min(reach, kind["window"])
        distance = position[:, np.newaxis].astype(np.int64) - position
        visible = (distance >= 0) & ((distance < reach) | sinks)
        y = self.weighted(scores, visible, values)
        added = self.matrix(f"{at}.output", self.hidden)(y.reshape(len(x), -1))
        return self.norm(f"{at}.post_attention_norm", added)

    def scores(self, q: Floats, keys: tuple[Integers, Floats]) -> Floats:
        """Products [heads, n, n] of queries and keys, in bits; queries [n, heads, dims]."""
        queries, query_scale = (np.moveaxis(part, 1, 0) for part in steps_of(q * self.score_unit, ACTIVATION))
        key, key_scale = self.shared(keys[0]), self.shared(keys[1])
        sums = (queries @ np.moveaxis(key, 1, 2)).astype(np.float32)
        return finite(sums * query_scale[..., np.newaxis] * key_scale[:, np.newaxis])

    def weighted(self, scores: Floats, visible: NDArray[np.bool_], values: tuple[Integers, Floats]) -> Floats:
        """The values [n, heads, dims], each position's weighted by the softmax of its visible scores."""
        value, value_scale = self.shared(values[0]), self.shared(values[1])
        top = np.where(visible, scores, -LARGEST).max(axis=2, keepdims=True)
        e = np.where(visible, exp2(scores - top), np.float32(0))
        total = nearest(e * np.float32(1 << TOTAL_BITS)).sum(axis=2).astype(np.float32)
        # Weights are in units that make the heaviest, with the scale of its value, as large as sums allow.
        e = e * value_scale[:, np.newaxis]
        together = steps_of(e, ATTENTION)[0].sum(axis=2)
        fewer = np.float32(ATTENTION) * (MOST_ATTENTION / np.maximum(together, 1).astype(np.float32))
        weights, unit = steps_of(e, np.where(together > 1 << 24, fewer, np.float32(ATTENTION)))
        unit = unit / (total * np.float32(2.0**-TOTAL_BITS))
        y = (weights @ value).astype(np.float32) * unit[..., np.newaxis]
        return np.moveaxis(y, 0, 1)

    def shared(self, kept: NDArray[Any]) -> NDArray[Any]:
        """Of the key-value heads [n, kv_heads, ...] each for all the heads that share it: [heads, n, ...]."""
        return np.repeat(np.moveaxis(kept, 1, 0), self.heads // self.kept, axis=0)

    def feed_forward(self, layer: int, x: Floats) -> Floats:
        """What the gated layer (Shazeer, 2020) adds to the rows x [n, hidden]."""
        at = f"layers.{layer}"
        ffn = self.architecture["ffn"]
        both = self.matrix(f"{at}.gate_up", 2 * ffn)(self.norm(f"{at}.ffn_norm", x))
        # Sixteen gates, then the sixteen values that they let through.
        gate, value = np.moveaxis(both.reshape(len(x), -1, 2, LANES), 2, 0).reshape(2, len(x), ffn)
        activation = gelu if self.architecture["activation"] == "gelu_tanh" else silu
        added = self.matrix(f"{at}.down", self.hidden)(activation(gate) * value)
        return self.norm(f"{at}.post_ffn_norm", added)
