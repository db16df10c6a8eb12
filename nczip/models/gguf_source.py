"""A GGUF file in the common form: what its keys and tensors are called, and what llama.cpp did to them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from nczip.errors import ModelFileError
from nczip.models import rope, tokenizers_json, vocabulary
from nczip.models.fields import Fields
from nczip.models.gguf import Gguf
from nczip.models.rope import Rope
from nczip.models.source import (
    Architecture,
    Attention,
    Index,
    Selection,
    Source,
    Tensor,
    Tokenizer,
    bfloat16_root,
    digest_of,
    shortest,
)

_TENSORS = {
    "attn_norm.weight": "attention_norm",
    "attn_q.weight": "q",
    "attn_k.weight": "k",
    "attn_v.weight": "v",
    "attn_q.bias": "q_bias",
    "attn_k.bias": "k_bias",
    "attn_v.bias": "v_bias",
    "attn_q_norm.weight": "q_norm",
    "attn_k_norm.weight": "k_norm",
    "attn_output.weight": "output",
    "post_attention_norm.weight": "post_attention_norm",
    "ffn_norm.weight": "ffn_norm",
    "ffn_gate.weight": "gate",
    "ffn_up.weight": "up",
    "ffn_down.weight": "down",
    "post_ffw_norm.weight": "post_ffn_norm",
}
_WHOLE = {"token_embd.weight": "embedding", "output.weight": "head", "output_norm.weight": "final_norm"}
_ROPE_FACTORS = "rope_freqs.weight"

_NORMAL, _USER_DEFINED, _BYTE = 1, 4, 6  # kinds of token that stand for text; the others are not text
_GEMMA_27B = 62  # layers: the one Gemma 3 whose scores are scaled by its width instead of its heads


def read(path: Path) -> Source:
    """The model in a GGUF file. Raises ModelFileError."""
    file = Gguf(path)
    keys = Fields(file.metadata, "metadata")
    family = keys.text("general.architecture")
    if family not in ("llama", "qwen2", "qwen3", "gemma3"):
        raise ModelFileError(f"holds a model of the architecture {family!r}, which nczip does not know")
    tensors = dict(_named(file.tensors))
    architecture, ropes = _architecture(keys, family, file.tensors)
    if family == "llama":
        for layer in range(architecture.layers):
            for part, heads in (("q", architecture.heads), ("k", architecture.kv_heads)):
                name = f"layers.{layer}.{part}"
                if name in tensors:
                    order = _together(heads, architecture.head_dim)
                    tensors[name] = _reordered(tensors[name], order, name)
    return Source(
        kind="gguf",
        sha256=digest_of(path),
        license=keys.text("general.license", ""),
        name=keys.text("general.name", path.stem),
        architecture=architecture,
        ropes=ropes,
        tokenizer=_tokenizer(keys),
        tensors=tensors,
    )


def _architecture(
    keys: Fields, family: str, tensors: Mapping[str, Any]
) -> tuple[Architecture, tuple[Rope, ...]]:
    layers = keys.count(f"{family}.block_count")
    if layers > len(tensors):
        raise ModelFileError(f"claims {layers:,} layers and has {len(tensors):,} tensors")
    hidden = keys.count(f"{family}.embedding_length")
    heads = keys.count(f"{family}.attention.head_count")
    if heads < 1:
        raise ModelFileError("has no attention heads")
    head_dim = keys.count(f"{family}.attention.key_length", hidden // heads)
    if keys.count(f"{family}.attention.value_length", head_dim) != head_dim:
        raise ModelFileError("has values of another length than its keys")
    if keys.count(f"{family}.rope.dimension_count", head_dim) != head_dim:
        raise ModelFileError("turns only a part of each attention head, which nczip does not know")
    if not 1 <= hidden < 1 << 31 or not 2 <= head_dim <= 1 << 16:
        raise ModelFileError("describes a model that cannot be")
    gemma = family == "gemma3"
    ropes, attention, kinds = _positions(keys, family, layers, head_dim, tensors)
    scaled_by = hidden / heads if gemma and layers == _GEMMA_27B else head_dim
    architecture = Architecture(
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=keys.count(f"{family}.attention.head_count_kv", heads),
        head_dim=head_dim,
        ffn=keys.count(f"{family}.feed_forward_length"),
        context=keys.count(f"{family}.context_length"),
        norm_eps=shortest(keys.number(f"{family}.attention.layer_norm_rms_epsilon")),
        activation="gelu_tanh" if gemma else "silu",
        embedding_scale=bfloat16_root(hidden) if gemma else 1.0,
        attention_scale=shortest(1 / math.sqrt(scaled_by)),
        attention=attention,
        layer_kinds=kinds,
    )
    return architecture, ropes


def _positions(
    keys: Fields, family: str, layers: int, head_dim: int, tensors: Mapping[str, Any]
) -> tuple[tuple[Rope, ...], tuple[Attention, ...], tuple[int, ...]]:
    """The rotary tables, the kinds of attention, and the kind of each layer."""
    pairs = head_dim // 2
    theta = keys.number(f"{family}.rope.freq_base", 10000.0)
    scaling = keys.text(f"{family}.rope.scaling.type", "none")
    if scaling not in ("none", "linear"):
        raise ModelFileError(f"scales positions by {scaling!r}, which nczip does not know")
    factor = keys.number(f"{family}.rope.scaling.factor", 1.0) if scaling == "linear" else 1.0
    everywhere = rope.plain(theta, pairs, factor)
    if _ROPE_FACTORS in tensors:
        factors = tensors[_ROPE_FACTORS].rows(np.arange(1))[0].tolist()
        if len(factors) != pairs or not all(math.isfinite(value) and value > 0 for value in factors):
            raise ModelFileError(f"has {_ROPE_FACTORS} that no model can have")
        everywhere = Rope(theta, tuple(Decimal(value) * Decimal(factor) for value in factors))
    if family == "gemma3":
        window = keys.count("gemma3.attention.sliding_window")
        local = rope.plain(keys.number("gemma3.rope.freq_base_swa", 10000.0), pairs)
        period = 6  # every sixth layer looks back all the way
        kinds = tuple(int(layer % period == period - 1) for layer in range(layers))
        return (local, everywhere), (Attention(window, 0), Attention(0, 1)), kinds
    if f"{family}.attention.sliding_window" in keys:
        raise ModelFileError(f"is a {family} with a sliding window, which nczip does not know")
    return (everywhere,), (Attention(0, 0),), (0,) * layers


def _named(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Tensors by the names of the common form; what is not understood must not be ignored."""
    for name, tensor in tensors.items():
        block, _, rest = name.removeprefix("blk.").partition(".")
        if name in _WHOLE:
            yield _WHOLE[name], tensor
        elif name.startswith("blk.") and block.isdecimal() and rest in _TENSORS:
            yield f"layers.{int(block)}.{_TENSORS[rest]}", tensor
        elif name != _ROPE_FACTORS:
            raise ModelFileError(f"has a tensor {name[:64]!r}, which nczip does not know")


def _together(heads: int, head_dim: int) -> Index:
    """Where the rows of each head are in a file of llama, which has the pairs of a rotation side by side."""
    rows = np.arange(heads * head_dim, dtype=np.int64)
    return rows.reshape(heads, head_dim // 2, 2).swapaxes(1, 2).reshape(-1)


def _reordered(tensor: Tensor, order: Index, name: str) -> Tensor:
    if tensor.shape[:1] != order.shape:
        raise ModelFileError(f"has {name} in the shape {list(tensor.shape)}, not [{len(order)}, any]")
    return Selection(tensor, order)


def _tokenizer(keys: Fields) -> Tokenizer:
    tokens = keys.list("tokenizer.ggml.tokens")
    types = keys.list("tokenizer.ggml.token_type") if "tokenizer.ggml.token_type" in keys else None
    if types is None:
        types = [_NORMAL] * len(tokens)
    if len(types) != len(tokens) or not all(isinstance(token, str) for token in tokens):
        raise ModelFileError("has a vocabulary that does not hold together")
    bos = keys.count("tokenizer.ggml.bos_token_id") if "tokenizer.ggml.bos_token_id" in keys else None
    if bos is not None and not 0 <= bos < len(tokens):
        raise ModelFileError(f"begins with the token {bos:,} of a vocabulary of {len(tokens):,}")
    kind = keys.text("tokenizer.ggml.model")
    if kind == "gpt2":
        strings = [_bytes_of_gpt2(token, type_) for token, type_ in zip(tokens, types, strict=True)]
        fallback: frozenset[int] = frozenset()
    elif kind == "llama":
        strings = [_bytes_of_llama(token, type_) for token, type_ in zip(tokens, types, strict=True)]
        fallback = frozenset(token for token, type_ in enumerate(types) if type_ == _BYTE)
    else:
        raise ModelFileError(f"has a tokenizer of the kind {kind!r}, which nczip does not know")

    ids: dict[str, int] = {}
    for token, string in enumerate(strings):
        if string:
            ids.setdefault(tokens[token], token)
    whole = [text for text, token in ids.items() if types[token] == _USER_DEFINED and "▁" not in text]
    if kind == "gpt2":
        pre = keys.text("tokenizer.ggml.pre", "gpt-2")
        pre = {"default": "gpt-2", "llama3": "llama-bpe", "llama-v3": "llama-bpe"}.get(pre, pre)
        if pre not in tokenizers_json.WORDS:
            raise ModelFileError(f"cuts text into words by {pre!r}, which nczip does not know")
        file = tokenizers_json.write(
            ids,
            _merges(keys.list("tokenizer.ggml.merges")),
            words=tokenizers_json.WORDS[pre],
            whole=whole,
            ignore_merges=pre in tokenizers_json.WHOLE_WORDS_FIRST,
        )
    else:
        scores = keys.list("tokenizer.ggml.scores")
        if len(scores) != len(tokens) or not all(isinstance(score, float) for score in scores):
            raise ModelFileError("has a vocabulary that does not hold together")
        file = tokenizers_json.write(
            ids,
            _merges_by_score(ids, scores),
            words=None,
            normalizer=tokenizers_json.SPACES_TO_PIECES,
            whole=whole,
            byte_fallback=True,
        )
    return Tokenizer(strings, fallback, bos, file)


def _bytes_of_gpt2(token: str, kind: int) -> bytes | None:
    if kind == _USER_DEFINED:  # found in the text itself, so it is not in the alphabet of the others
        return token.encode("utf-8", "surrogateescape")
    return vocabulary.bytes_of_byte_level(token) if kind == _NORMAL else None


def _bytes_of_llama(token: str, kind: int) -> bytes | None:
    if kind == _BYTE:
        byte = vocabulary.byte_of_fallback(token)
        return None if byte is None else bytes([byte])
    return vocabulary.bytes_of_pieces(token) if kind in (_NORMAL, _USER_DEFINED) else None


def _merges(lines: list[Any]) -> Iterator[tuple[str, str]]:
    for line in lines:
        left, space, right = str(line).partition(" ")
        if not space or " " in right:
            raise ModelFileError("has a merge of tokens that is not two tokens")
        yield left, right


def _merges_by_score(ids: Mapping[str, int], scores: list[float]) -> list[tuple[str, str]]:
    """Every way to halve a token, best token first: SentencePiece joins what scores best as a whole."""
    merges = []
    for token in sorted(ids, key=lambda token: (-scores[ids[token]], ids[token])):
        halves = [(token[:cut], token[cut:]) for cut in range(1, len(token))]
        known = [(left, right) for left, right in halves if left in ids and right in ids]
        merges += sorted(known, key=lambda halves: (ids[halves[0]], ids[halves[1]]))
    return merges
