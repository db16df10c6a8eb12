"""A directory from Hugging Face in the common form: config.json, safetensors, tokenizer.json."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nczip.errors import ModelFileError
from nczip.models import rope, safetensors, tokenizers_json, vocabulary
from nczip.models.fields import Fields
from nczip.models.rope import Rope
from nczip.models.source import (
    Architecture,
    Attention,
    Index,
    Source,
    Tensor,
    Tokenizer,
    bfloat16_root,
    digest_of,
    shortest,
)

_FAMILIES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3_text": "gemma3"}
_ACTIVATIONS = {"silu": "silu", "gelu_pytorch_tanh": "gelu_tanh"}
_LAYER = {
    "input_layernorm.weight": "attention_norm",
    "self_attn.q_proj.weight": "q",
    "self_attn.k_proj.weight": "k",
    "self_attn.v_proj.weight": "v",
    "self_attn.q_proj.bias": "q_bias",
    "self_attn.k_proj.bias": "k_bias",
    "self_attn.v_proj.bias": "v_bias",
    "self_attn.q_norm.weight": "q_norm",
    "self_attn.k_norm.weight": "k_norm",
    "self_attn.o_proj.weight": "output",
    "post_attention_layernorm.weight": "ffn_norm",
    "mlp.gate_proj.weight": "gate",
    "mlp.up_proj.weight": "up",
    "mlp.down_proj.weight": "down",
}
_LAYER_OF_GEMMA = _LAYER | {
    "post_attention_layernorm.weight": "post_attention_norm",
    "pre_feedforward_layernorm.weight": "ffn_norm",
    "post_feedforward_layernorm.weight": "post_ffn_norm",
}
_WHOLE = {
    "model.embed_tokens.weight": "embedding",
    "lm_head.weight": "head",
    "model.norm.weight": "final_norm",
}
_LAYER_NAME = re.compile(r"model\.layers\.([0-9]{1,9})\.(.+)")
_INDEX = "model.safetensors.index.json"
_LARGEST_JSON = 256 << 20
_FILES = ["config.json", "tokenizer.json", "*.safetensors", _INDEX]


def read(directory: Path) -> Source:
    """The model in a directory. Raises ModelFileError."""
    config = Fields(_json(directory / "config.json"), "config.json")
    kind = config.text("model_type")
    if kind not in _FAMILIES:
        raise ModelFileError(f"holds a model of the type {kind!r}, which nczip does not know")
    family = _FAMILIES[kind]
    architecture, ropes = _architecture(config, family)
    shards = _shards(directory)
    stored = {name: tensor for shard in shards for name, tensor in safetensors.tensors(shard).items()}
    tied = config.flag("tie_word_embeddings", family == "gemma3")
    if tied:
        stored.pop("lm_head.weight", None)  # the same once more
    elif "lm_head.weight" not in stored:
        raise ModelFileError("lacks lm_head.weight, and its head is not its embedding")
    bos = config.count("bos_token_id") if "bos_token_id" in config else None
    tokenizer = _tokenizer(_json(directory / "tokenizer.json"), bos)
    return Source(
        kind="huggingface",
        sha256=_digest([directory / "config.json", directory / "tokenizer.json", *shards]),
        license="",
        name=directory.resolve().name,
        architecture=architecture,
        ropes=ropes,
        tokenizer=tokenizer,
        tensors=dict(_named(stored, family)),
    )


def is_name(text: str) -> bool:
    """Whether ``text`` has the form of a model's name on the hub."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", text) is not None


def download(name: str) -> Path:
    """The directory with the files of a model of the hub. Raises ModelFileError."""
    missing = f"{name} is no file here, and "
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ModelFileError(f"{missing}huggingface_hub, which fetches models, is not installed") from error
    try:
        return Path(snapshot_download(name, allow_patterns=_FILES))
    except Exception as error:  # what it raises is not written down
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelFileError(f"{missing}cannot be fetched: {reason[0][:200]}") from error


@dataclass(frozen=True)
class _Gains:
    """Gains that are stored less 1, as Gemma's are."""

    tensor: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    def rows(self, index: Index) -> npt.NDArray[np.float32]:
        return self.tensor.rows(index) + np.float32(1)


def _named(stored: Mapping[str, Tensor], family: str) -> Iterator[tuple[str, Tensor]]:
    """Tensors by the names of the common form; what is not understood must not be ignored."""
    layer_names = _LAYER_OF_GEMMA if family == "gemma3" else _LAYER
    for name, tensor in stored.items():
        match = _LAYER_NAME.fullmatch(name)
        if name in _WHOLE:
            known = _WHOLE[name]
        elif match is not None and match[2] in layer_names:
            known = f"layers.{int(match[1])}.{layer_names[match[2]]}"
        elif name.endswith("rotary_emb.inv_freq"):
            continue  # follows from config.json
        else:
            raise ModelFileError(f"has a tensor {name[:64]!r}, which nczip does not know")
        yield known, _Gains(tensor) if family == "gemma3" and known.endswith("norm") else tensor


def _architecture(config: Fields, family: str) -> tuple[Architecture, tuple[Rope, ...]]:
    gemma = family == "gemma3"
    for key in ("attn_logit_softcapping", "final_logit_softcapping"):
        if key in config:
            raise ModelFileError(f"has {key} in its config.json, which nczip does not know")
    if config.flag("use_bidirectional_attention", False):
        raise ModelFileError("looks ahead, so it predicts nothing")
    if config.number("partial_rotary_factor", 1.0) != 1.0:
        raise ModelFileError("turns only a part of each attention head, which nczip does not know")
    layers, hidden = config.count("num_hidden_layers"), config.count("hidden_size")
    heads = config.count("num_attention_heads")
    if not 1 <= heads <= hidden < 1 << 31 or not 1 <= layers <= 1 << 16:
        raise ModelFileError("describes a model that cannot be")
    head_dim = config.count("head_dim", hidden // heads)
    if not 2 <= head_dim <= 1 << 16:
        raise ModelFileError("describes a model that cannot be")
    activation = config.text(
        "hidden_activation" if gemma else "hidden_act", "gelu_pytorch_tanh" if gemma else "silu"
    )
    if activation not in _ACTIVATIONS:
        raise ModelFileError(f"has the activation {activation!r}, which nczip does not know")
    ropes, attention, kinds = _positions(config, gemma, layers, head_dim // 2)
    scaled_by = config.number("query_pre_attn_scalar", 256) if gemma else head_dim
    architecture = Architecture(
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=config.count("num_key_value_heads", heads),
        head_dim=head_dim,
        ffn=config.count("intermediate_size"),
        context=config.count("max_position_embeddings"),
        norm_eps=shortest(config.number("rms_norm_eps")),
        activation=_ACTIVATIONS[activation],
        embedding_scale=bfloat16_root(hidden) if gemma else 1.0,
        attention_scale=shortest(1 / math.sqrt(scaled_by)),
        attention=attention,
        layer_kinds=kinds,
    )
    return architecture, ropes


def _positions(
    config: Fields, gemma: bool, layers: int, pairs: int
) -> tuple[tuple[Rope, ...], tuple[Attention, ...], tuple[int, ...]]:
    """The rotary tables, the kinds of attention, and the kind of each layer.

    transformers 5 writes rope_parameters, one for each kind of layer where there are several; before it there
    were rope_theta and rope_scaling.
    """
    parameters = config.inner("rope_parameters")
    scaling = config.inner("rope_scaling")
    if "layer_types" in config:
        types = config.list("layer_types")
        known = {"full_attention": 1, "sliding_attention": 0}
        if len(types) != layers or not all(isinstance(one, str) and one in known for one in types):
            raise ModelFileError("has layer_types in its config.json that nczip does not know")
        kinds = tuple(known[one] for one in types)
    elif gemma:
        period = config.count("sliding_window_pattern", 6)
        if period < 1:
            raise ModelFileError("describes a model that cannot be")
        kinds = tuple(int(layer % period == period - 1) for layer in range(layers))
    else:
        if config.flag("use_sliding_window", False):
            raise ModelFileError("has a sliding window and does not say in which layers")
        kinds = (1,) * layers
    if "full_attention" in parameters:
        everywhere = _rope(parameters.inner("full_attention"), None, 10000.0, pairs)
        local = _rope(parameters.inner("sliding_attention"), None, 10000.0, pairs)
    elif "rope_theta" in parameters:
        everywhere = local = _rope(parameters, None, 10000.0, pairs)
    else:
        everywhere = _rope(scaling, config, 1000000.0 if gemma else 10000.0, pairs)
        local = rope.plain(config.number("rope_local_base_freq", 10000.0), pairs) if gemma else everywhere
    if 0 not in kinds:
        return (everywhere,), (Attention(0, 0),), (0,) * layers
    window = config.count("sliding_window")
    if window < 1:
        raise ModelFileError("describes a model that cannot be")
    return (local, everywhere), (Attention(window, 0), Attention(0, 1)), kinds


def _rope(parameters: Fields, config: Fields | None, theta: float, pairs: int) -> Rope:
    """What ``parameters`` say of scaling, and they or ``config`` of theta."""
    theta = (config or parameters).number("rope_theta", theta)
    kind = parameters.text("rope_type", parameters.text("type", "default"))
    if kind == "default":
        return rope.plain(theta, pairs)
    if kind == "linear":
        return rope.plain(theta, pairs, parameters.number("factor"))
    if kind == "llama3":
        low, high = parameters.number("low_freq_factor"), parameters.number("high_freq_factor")
        if low >= high:
            raise ModelFileError("scales positions by 'llama3' in a way that cannot be")
        return rope.llama3(
            theta,
            pairs,
            factor=parameters.number("factor"),
            low=low,
            high=high,
            trained_context=parameters.count("original_max_position_embeddings"),
        )
    raise ModelFileError(f"scales positions by {kind!r}, which nczip does not know")


def _tokenizer(file: Any, bos: int | None) -> Tokenizer:
    """The tokenizer of a tokenizer.json; ``bos`` is the token that texts begin with."""
    try:
        model, added = file["model"], file.get("added_tokens") or []
        ids: dict[str, int] = dict(model["vocab"])
        merges = [one.split(" ") if isinstance(one, str) else one for one in model["merges"]]
        special = {token["content"] for token in added if token["special"]} | {model.get("unk_token")}
        whole = {token["content"]: token["id"] for token in added if not token["special"]}
        kind, byte_fallback = model["type"], bool(model.get("byte_fallback"))
        affixes = model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
        words = file.get("pre_tokenizer")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError("has a tokenizer.json that nczip does not understand") from error
    sound = (
        kind == "BPE"
        and not affixes
        and all(isinstance(text, str) for text in (ids | whole))
        and all(type(token) is int and 0 <= token < 1 << 28 for token in (ids | whole).values())
        and all(isinstance(merge, list) and len(merge) == 2 for merge in merges)
        and all(isinstance(part, str) for merge in merges for part in merge)
        and (words is None or isinstance(words, dict))
    )
    if not sound:
        raise ModelFileError("has a tokenizer.json that nczip does not understand")
    byte_level = "ByteLevel" in json.dumps(words)
    strings: list[bytes | None] = [None] * (max((ids | whole).values(), default=-1) + 1)
    fallback = set()
    texts: dict[str, int] = {}
    for text, token in (ids | whole).items():
        if text in special:
            continue
        byte = vocabulary.byte_of_fallback(text) if byte_fallback and text not in whole else None
        if byte is not None:
            strings[token] = bytes([byte])
            fallback.add(token)
        elif byte_level and text not in whole:
            strings[token] = vocabulary.bytes_of_byte_level(text)
        elif byte_level:
            strings[token] = text.encode("utf-8", "surrogateescape")
        else:
            strings[token] = vocabulary.bytes_of_pieces(text)
        if strings[token]:
            texts[text] = token
    packed = tokenizers_json.write(
        texts,
        ((left, right) for left, right in merges),
        words=_plain(words) if byte_level else None,
        normalizer=None if byte_level else tokenizers_json.SPACES_TO_PIECES,
        whole=[text for text in whole if text in texts and (byte_level or "▁" not in text)],
        byte_fallback=byte_fallback,
        ignore_merges=bool(model.get("ignore_merges")),
    )
    return Tokenizer(strings, frozenset(fallback), bos, packed)


def _plain(words: Any) -> Any:
    """How to cut words, without the space that some tokenizers put before a text."""
    if isinstance(words, dict):
        return {key: False if key == "add_prefix_space" else _plain(value) for key, value in words.items()}
    return [_plain(one) for one in words] if isinstance(words, list) else words


def _shards(directory: Path) -> list[Path]:
    """The safetensors files of a model."""
    if not (directory / _INDEX).is_file():
        return [_there(directory / "model.safetensors")]
    names = _json(directory / _INDEX).get("weight_map")
    if not isinstance(names, dict) or not all(
        isinstance(name, str) and Path(name).name == name and name.endswith(".safetensors")
        for name in names.values()
    ):
        raise ModelFileError(f"has a {_INDEX} that names no files beside it")
    return [_there(directory / name) for name in sorted(set(names.values()))]


def _there(path: Path) -> Path:
    if not path.is_file():
        raise ModelFileError(f"has no {path.name}")
    return path


def _json(path: Path) -> dict[str, Any]:
    if _there(path).stat().st_size > _LARGEST_JSON:
        raise ModelFileError(f"has a {path.name} of {path.stat().st_size:,} bytes")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"has a {path.name} that is not JSON") from error
    if not isinstance(value, dict):
        raise ModelFileError(f"has a {path.name} that is no object")
    return value


def _digest(paths: list[Path]) -> str:
    """The SHA-256 of what sha256sum prints of the files."""
    lines = [f"{digest_of(path)}  {path.name}\n" for path in sorted(paths)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
