"""The network that nczip/reference/transformer.py computes in integers, as textbooks have it: in binary64."""

from __future__ import annotations

import numpy as np
from tiny_transformers import Tiny

Array = np.ndarray


def logits(tiny: Tiny, tokens: Array) -> Array:
    """In bits, [n, vocabulary]; every global layer sees all of the past."""
    shape = tiny.shape
    w = {name: values.astype(np.float64) for name, values in tiny.floats.items()}
    x = w["head" if shape.tied else "embedding"][tokens] * shape.embedding_scale
    for i, kind in enumerate(tiny.architecture["layer_kinds"]):
        layer = {
            name.split(".", 2)[2]: values for name, values in w.items() if name.startswith(f"layers.{i}.")
        }
        y = attention(tiny, layer, normed(x, layer["attention_norm"]), kind)
        x = x + normed(y, layer.get("post_attention_norm"))
        y = normed(x, layer["ffn_norm"]) @ layer["gate_up"].T
        gate, up = np.moveaxis(y.reshape(len(x), -1, 2, 16), 2, 0).reshape(2, len(x), -1)
        y = activated(gate, shape.activation) * up @ layer["down"].T
        x = x + normed(y, layer.get("post_ffn_norm"))
    return (normed(x, w["final_norm"]) @ w["head"].T)[:, : shape.entries] / np.log(2)


def normed(x: Array, gain: Array | None) -> Array:
    return x if gain is None else x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5) * gain


def activated(x: Array, name: str) -> Array:
    if name == "silu":
        return x / (1 + np.exp(-x))
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def attention(tiny: Tiny, layer: dict[str, Array], x: Array, kind: int) -> Array:
    shape, n = tiny.shape, len(x)
    qkv = x @ layer["qkv"].T + layer.get("qkv.bias", 0)
    heads = qkv.reshape(n, -1, shape.head_dim).swapaxes(0, 1)
    q, k, v = np.split(heads, [shape.heads, shape.heads + shape.kv_heads])
    theta = (10000.0, 100.0)[kind]
    angles = np.arange(n)[:, None] * theta ** (-np.arange(0, shape.head_dim, 2) / shape.head_dim)
    q = turned(normed(q, layer.get("q_norm")), angles)
    k = turned(normed(k, layer.get("k_norm")), angles)
    k, v = (np.repeat(part, shape.heads // shape.kv_heads, axis=0) for part in (k, v))
    scores = q @ k.swapaxes(1, 2) / np.sqrt(shape.head_dim)
    distance = np.arange(n)[:, None] - np.arange(n)
    seen = (distance >= 0) & (distance < (shape.local if kind else n))
    weights = np.where(seen, np.exp(scores - scores.max(axis=2, keepdims=True)), 0)
    weights /= weights.sum(axis=2, keepdims=True)
    return (weights @ v).swapaxes(0, 1).reshape(n, -1) @ layer["output"].T


def turned(x: Array, angles: Array) -> Array:
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate(
        [a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)], axis=-1
    )
