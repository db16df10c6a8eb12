"""What a model file computes, in float64 and without haste: the plainest reading of formats/ncm.md."""

from __future__ import annotations

from typing import Any

import numpy as np

from nczip.models.ncm import Model


def logits(model: Model, entries: list[int]) -> np.ndarray:
    """The logits of all entries after each of ``entries``, float64 [n, vocabulary size]."""
    shape, tensors = model.architecture, model.tensors
    heads, kv_heads, dim = shape.heads, shape.kv_heads, shape.head_dim
    state = matrix(model, "head" if model.tied else "embedding")[entries] * shape.embedding_scale
    for layer in range(shape.layers):
        kind = shape.attention[shape.layer_kinds[layer]]

        def part(name: str, layer: int = layer) -> str:
            return f"layers.{layer}.{name}"

        qkv = (
            norm(model, state, part("attention_norm"))
            @ matrix(model, part("qkv"))[: (heads + 2 * kv_heads) * dim].T
        )
        if part("qkv.bias") in tensors:
            qkv = qkv + tensors[part("qkv.bias")]
        rows = qkv.reshape(len(entries), -1, dim)
        query, key, value = np.split(rows, [heads, heads + kv_heads], axis=1)
        if part("q_norm") in tensors:
            query, key = norm(model, query, part("q_norm")), norm(model, key, part("k_norm"))
        steps = tensors[f"rope.{kind.rope}"].astype(np.float64)
        query, key = turned(query, steps), turned(key, steps)
        attended = attention(query, key, value, shape.attention_scale, kind.window)
        change = attended @ matrix(model, part("output"))[: shape.hidden].T
        if part("post_attention_norm") in tensors:
            change = norm(model, change, part("post_attention_norm"))
        state = state + change
        joined = norm(model, state, part("ffn_norm")) @ matrix(model, part("gate_up")).T
        gate, up = (
            joined.reshape(len(entries), -1, 2, 16).swapaxes(1, 2).reshape(len(entries), 2, -1).swapaxes(0, 1)
        )
        change = (activated(gate, shape.activation) * up) @ matrix(model, part("down"))[: shape.hidden].T
        if part("post_ffn_norm") in tensors:
            change = norm(model, change, part("post_ffn_norm"))
        state = state + change
    return (norm(model, state, "final_norm") @ matrix(model, "head").T)[:, : model.vocabulary_size]


def matrix(model: Model, name: str) -> np.ndarray:
    """The rows of a matrix, padding included."""
    tiles = model.tensors[name].astype(np.float64) - 128
    blocks, groups, rows, columns = tiles.shape
    return (
        tiles.swapaxes(1, 2).reshape(blocks * rows, groups * columns)
        * model.tensors[f"{name}.scale"][:, None]
    )


def norm(model: Model, state: np.ndarray, gains: str) -> np.ndarray:
    mean = (state * state).mean(axis=-1, keepdims=True)
    return state / np.sqrt(mean + model.architecture.norm_eps) * model.tensors[gains]


def turned(rows: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """[n, heads, dim], each pair (i, i + dim / 2) turned by its step as often as the position says."""
    angles = 2 * np.pi * (np.arange(len(rows))[:, None, None] * steps % 2**32) / 2**32
    first, second = np.split(rows, 2, axis=-1)
    return np.concatenate(
        [first * np.cos(angles) - second * np.sin(angles), second * np.cos(angles) + first * np.sin(angles)],
        axis=-1,
    )


def attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, scale: float, window: int) -> np.ndarray:
    """[n, heads * dim]. A token sees itself and what is before it, with a window the last ``window``."""
    shared = query.shape[1] // key.shape[1]
    scores = np.einsum("qhd,khd->hqk", query, np.repeat(key, shared, axis=1)) * scale
    back = np.arange(len(query))[:, None] - np.arange(len(query))
    scores[:, (back < 0) | ((back >= window) if window else False)] = -np.inf
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", weights, np.repeat(value, shared, axis=1)).reshape(len(query), -1)


def activated(gate: np.ndarray, activation: str) -> Any:
    if activation == "silu":
        return gate / (1 + np.exp(-gate))
    return 0.5 * gate * (1 + np.tanh(np.sqrt(2 / np.pi) * (gate + 0.044715 * gate**3)))
