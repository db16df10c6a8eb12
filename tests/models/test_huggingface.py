"""Directories from Hugging Face: that they compute the same as there, and directories that lie."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from tiny_models import (
    FFN,
    HEAD_DIM,
    HEADS,
    HIDDEN,
    KV_HEADS,
    PAIRS,
    WORDS,
    as_model_file,
    byte_level,
    weights,
)

from nczip.errors import ModelFileError
from nczip.models import huggingface, safetensors
from nczip.models.ncm import Model

LAYERS = 7
TYPES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3": "gemma3_text"}
MISSING = 0xC7  # a byte without a token


def config(family: str) -> dict[str, Any]:
    common = {
        "model_type": TYPES[family],
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "intermediate_size": FFN,
        "bos_token_id": 0,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6,
        "vocab_size": 300,
        "tie_word_embeddings": True,
        "rope_theta": 10000.0,
    }
    if family == "gemma3":
        common |= {
            "rope_theta": 1e6, "rope_local_base_freq": 10000.0, "query_pre_attn_scalar": 16,
            "sliding_window": 5, "sliding_window_pattern": 6, "hidden_activation": "gelu_pytorch_tanh",
        }  # fmt: skip
    return common


def tokenizer() -> dict[str, Any]:
    """GPT-2's kind, with a special token before and an ordinary one after the others."""
    singles = [bytes([byte]) for byte in range(256) if byte != MISSING]
    tokens = ["<s>", *map(byte_level, singles), *map(byte_level, WORDS)]
    level = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "added_tokens": [
            added | {"id": 0, "content": "<s>", "special": True},
            added | {"id": len(tokens), "content": "<tool>", "special": False},
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": level | {"add_prefix_space": False},
        "post_processor": None,
        "decoder": level | {"add_prefix_space": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [f"{byte_level(left)} {byte_level(right)}" for left, right in PAIRS],
        },
    }  # fmt: skip


def shapes(family: str) -> dict[str, tuple[int, ...]]:
    attended, kept = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (300, HIDDEN),
        "model.norm.weight": (HIDDEN,),
    }
    for layer in range(LAYERS):
        block: dict[str, tuple[int, ...]] = {
            "input_layernorm.weight": (HIDDEN,),
            "self_attn.q_proj.weight": (attended, HIDDEN),
            "self_attn.k_proj.weight": (kept, HIDDEN),
            "self_attn.v_proj.weight": (kept, HIDDEN),
            "self_attn.o_proj.weight": (HIDDEN, attended),
            "post_attention_layernorm.weight": (HIDDEN,),
            "mlp.gate_proj.weight": (FFN, HIDDEN),
            "mlp.up_proj.weight": (FFN, HIDDEN),
            "mlp.down_proj.weight": (HIDDEN, FFN),
        }
        if family == "qwen2":
            block |= {
                f"self_attn.{part}_proj.bias": (rows,)
                for part, rows in zip("qkv", (attended, kept, kept), strict=True)
            }
        if family in ("qwen3", "gemma3"):
            block |= {"self_attn.q_norm.weight": (HEAD_DIM,), "self_attn.k_norm.weight": (HEAD_DIM,)}
        if family == "gemma3":
            block |= {
                "pre_feedforward_layernorm.weight": (HIDDEN,),
                "post_feedforward_layernorm.weight": (HIDDEN,),
            }
        found |= {f"model.layers.{layer}.{name}": shape for name, shape in block.items()}
    return found


def exact(seed: int, *shape: int) -> np.ndarray:
    """Weights that int8 with one scale a row holds exactly; vectors are any numbers."""
    if len(shape) == 1:
        return weights(seed, *shape) / 4
    rng = np.random.default_rng(seed)
    integers = rng.integers(-127, 128, shape)
    integers[:, seed % shape[1]] = 127
    return (integers / 512).astype(np.float32)


def packed(tensors: dict[str, np.ndarray | tuple[str, tuple[int, ...], bytes]]) -> bytes:
    """A safetensors file; a tuple is type, shape and bytes."""
    header, data = {}, b""
    for name, values in tensors.items():
        kind, shape, stored = values if isinstance(values, tuple) else ("F32", values.shape, values.tobytes())
        header[name] = {
            "dtype": kind,
            "shape": list(shape),
            "data_offsets": [len(data), len(data) + len(stored)],
        }
        data += stored
    text = json.dumps(header | {"__metadata__": {"format": "pt"}}).encode()
    return struct.pack("<Q", len(text)) + text + data


def directory(path: Path, family: str = "llama") -> Path:
    """A model whose weights int8 holds exactly."""
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config(family)))
    (path / "tokenizer.json").write_text(json.dumps(tokenizer()))
    tensors = {name: exact(seed, *shape) for seed, (name, shape) in enumerate(shapes(family).items())}
    (path / "model.safetensors").write_bytes(packed(tensors))
    return path


def converted(path: Path) -> Model:
    return as_model_file(huggingface.read(path), path / "m.ncm")


def changed(path: Path, name: str, change: Callable[[Any], object]) -> None:
    value = json.loads((path / name).read_text())
    change(value)
    (path / name).write_text(json.dumps(value))


@pytest.mark.parametrize("family", TYPES)
def test_a_directory_computes_what_transformers_does(family: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    path = directory(tmp_path / "m", family)
    if family == "llama":
        scaling = {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        }  # fmt: skip
        changed(path, "config.json", lambda config: config.update(rope_scaling=scaling))
    model = converted(path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    entries = [model.bos, *model.encode("in the  year 1912, the thin né\r\n <tool> tent".encode()).tolist()]
    ids = [*model.tensors["vocabulary.ids"].tolist(), 0]
    there = np.flatnonzero(model.tensors["vocabulary.ids"] < 300)
    with torch.no_grad():
        wanted = theirs(torch.tensor([[ids[entry] for entry in entries]])).logits[0].double().numpy()
    found = reference.logits(model, entries)
    spread = wanted.std()
    tolerance = (
        0.002 if family == "gemma3" else 1e-4
    )  # theirs rounds an embedding's scale to the type of the weights
    np.testing.assert_allclose(found[:, there], wanted[:, np.array(ids)[there]], atol=tolerance * spread)


@pytest.mark.parametrize("family", TYPES)
def test_a_directory_without_transformers(family: str, tmp_path: Path) -> None:
    path = directory(tmp_path / "m", family)
    model = converted(path)
    stored = {name: exact(seed, *shape) for seed, (name, shape) in enumerate(shapes(family).items())}
    layer = "model.layers.3."
    qkv = np.concatenate([stored[f"{layer}self_attn.{part}_proj.weight"] for part in "qkv"])
    np.testing.assert_array_equal(reference.matrix(model, "layers.3.qkv"), qkv)
    offset = 1 if family == "gemma3" else 0
    gains = stored[f"{layer}input_layernorm.weight"] + np.float32(offset)
    assert model.tensors["layers.3.attention_norm"].tolist() == gains.tolist()
    assert model.header["source"]["kind"] == "huggingface"
    if family == "gemma3":
        assert model.architecture.layer_kinds == (0, 0, 0, 0, 0, 1, 0)
        assert [kind.window for kind in model.architecture.attention] == [5, 0]
        assert model.architecture.attention_scale == 0.25


def test_both_ways_to_write_rotary_parameters(tmp_path: Path) -> None:
    path = directory(tmp_path / "m", "gemma3")
    old = converted(path)
    parts = {
        "full_attention": {"rope_theta": 1e6, "rope_type": "default"},
        "sliding_attention": {"rope_theta": 10000.0},
    }
    kinds = ["sliding_attention"] * 5 + ["full_attention", "sliding_attention"]

    def modernise(config: dict[str, Any]) -> None:
        for key in ("rope_theta", "rope_local_base_freq", "sliding_window_pattern"):
            del config[key]
        config.update(rope_parameters=parts, layer_types=kinds)

    changed(path, "config.json", modernise)
    new = converted(path)
    assert old.architecture == new.architecture
    assert [old.tensors[f"rope.{i}"].tolist() for i in (0, 1)] == [
        new.tensors[f"rope.{i}"].tolist() for i in (0, 1)
    ]


def test_several_files_and_halves(tmp_path: Path) -> None:
    path = directory(tmp_path / "m")
    whole = converted(path)
    tensors = {name: exact(seed, *shape) for seed, (name, shape) in enumerate(shapes("llama").items())}
    stored: dict[str, Any] = dict(tensors)
    for name, values in tensors.items():  # these weights are exact in either half
        if name.endswith("q_proj.weight"):
            stored[name] = ("F16", values.shape, values.astype("<f2").tobytes())
        if name.endswith("v_proj.weight"):
            stored[name] = ("BF16", values.shape, (values.view("<u4") >> 16).astype("<u2").tobytes())
    names = sorted(stored)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, inside in parts.items():
        (path / file).write_bytes(packed({name: stored[name] for name in inside}))
    (path / "model.safetensors").unlink()
    index = {"weight_map": {name: file for file, inside in parts.items() for name in inside}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    split = converted(path)
    assert {name: values.tobytes() for name, values in split.tensors.items()} == {
        name: values.tobytes() for name, values in whole.tensors.items()
    }


def test_the_tokenizer_yields_the_ids_of_the_original(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    path = directory(tmp_path / "m")
    model = converted(path)
    theirs = Tokenizer.from_file(str(path / "tokenizer.json"))
    for text in ("in the thin tent 12\r\n", "né the  <tool>the", "12 the"):
        ids = model.tensors["vocabulary.ids"][model.encode(text.encode())]
        assert ids.tolist() == theirs.encode(text, add_special_tokens=False).ids
    for data in (
        b"<s>",
        "ne\u0301 \u00c7".encode(),
        bytes(range(256)),
    ):  # special, not NFC, a byte without a token
        assert model.decode(model.encode(data)) == data
        assert 0 not in model.tensors["vocabulary.ids"][model.encode(data)]


def refused(path: Path, said: str) -> None:
    with pytest.raises(ModelFileError, match=said) as caught:
        converted(path)
    assert str(caught.value).isprintable()


CANNOT_BE, UNKNOWN, NOT_UNDERSTOOD = "cannot be", "nczip does not know", "nczip does not understand"
CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({"model_type": "mamba"}, "type 'mamba'"),
    ({"model_type": None}, "lacks model_type"),
    ({"hidden_size": "32"}, "wrong type"),
    ({"hidden_size": 1 << 63}, CANNOT_BE),
    ({"hidden_size": 64}, "in the shape"),
    ({"num_hidden_layers": 10**9}, CANNOT_BE),
    ({"num_hidden_layers": 6}, "which a llama does not have"),
    ({"num_hidden_layers": 8}, "lacks the tensor"),
    ({"num_attention_heads": 0}, CANNOT_BE),
    ({"num_key_value_heads": 3}, "does not take"),
    ({"head_dim": 10**12}, CANNOT_BE),
    ({"rms_norm_eps": 1e400}, "more than 0"),
    ({"rms_norm_eps": 10**400}, "more than 0"),
    ({"hidden_act": "relu"}, "'relu'"),
    ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, "'yarn'"),
    (
        {
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 2.0,
                "low_freq_factor": 4.0,
                "high_freq_factor": 4.0,
            }
        },
        CANNOT_BE,
    ),
    ({"rope_scaling": 7}, "wrong type"),
    ({"layer_types": ["full_attention"]}, UNKNOWN),
    ({"layer_types": ["linear_attention"] * 7}, UNKNOWN),
    ({"use_sliding_window": True}, "sliding window"),
    ({"partial_rotary_factor": 0.5}, "only a part"),
    ({"final_logit_softcapping": 30.0}, UNKNOWN),
    ({"tie_word_embeddings": False}, "lacks lm_head.weight"),
    ({"bos_token_id": 300}, "and a token 300"),
    ({"bos_token_id": [0]}, "wrong type"),
]


@pytest.mark.parametrize(("change", "said"), CONFIGS)
def test_a_config_that_does_not_fit(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = directory(tmp_path / "m")
    changed(path, "config.json", lambda config: config.update(change))
    refused(path, said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.pop("model"), NOT_UNDERSTOOD),
        (lambda file: file["model"].update(type="Unigram"), NOT_UNDERSTOOD),
        (lambda file: file["model"].update(vocab=[1]), NOT_UNDERSTOOD),
        (lambda file: file["model"].update(vocab={"a": -1}), NOT_UNDERSTOOD),
        (lambda file: file["model"].update(vocab={"a": 1 << 40}), NOT_UNDERSTOOD),
        (lambda file: file["model"].update(vocab={"a": 1.5}), NOT_UNDERSTOOD),
        (lambda file: file["model"].update(merges=[["a", "b", "c"]]), NOT_UNDERSTOOD),
        (lambda file: file["model"].update(merges=[7]), NOT_UNDERSTOOD),
        (lambda file: file["model"].update(merges="ab"), NOT_UNDERSTOOD),
        (lambda file: file["model"].update(end_of_word_suffix="</w>"), NOT_UNDERSTOOD),
        (lambda file: file.update(added_tokens=[{}]), NOT_UNDERSTOOD),
        (lambda file: file.update(pre_tokenizer=[]), NOT_UNDERSTOOD),
        (lambda file: file["model"]["vocab"].update(zz=300), "and a token 300"),
    ],
)
def test_a_tokenizer_that_does_not_fit(change: Callable[[Any], object], said: str, tmp_path: Path) -> None:
    path = directory(tmp_path / "m")
    changed(path, "tokenizer.json", change)
    refused(path, said)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors.index.json"])
@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"a":' + "9" * 10_000 + "}", "\udcff"])
def test_json_that_is_none(name: str, text: str, tmp_path: Path) -> None:
    path = directory(tmp_path / "m")
    (path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(path, "is not JSON|is no object")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_is_not_there(name: str, tmp_path: Path) -> None:
    path = directory(tmp_path / "m")
    (path / name).unlink()
    refused(path, f"has no {name}")


def test_an_index_that_leads_elsewhere(tmp_path: Path) -> None:
    path = directory(tmp_path / "m")
    for name in ("../other.safetensors", "/etc/passwd", "sub/a.safetensors", "config.json", 7):
        (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
        refused(path, "names no files beside it")


def test_unknown_tensors_are_not_ignored(tmp_path: Path) -> None:
    for name, said in (
        ("model.layers.0.self_attn.o_proj.bias", UNKNOWN),
        ("model.layers.0.self_attn.q_proj.bias", "does not have"),
    ):
        path = directory(tmp_path / "m")
        tensors = {name: exact(seed, *shape) for seed, (name, shape) in enumerate(shapes("llama").items())}
        (path / "model.safetensors").write_bytes(packed(tensors | {name: exact(1, HEADS * HEAD_DIM)}))
        refused(path, said)


def hostile() -> list[tuple[str, bytes]]:
    def claiming(**claimed: Any) -> bytes:
        text = json.dumps({"t": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} | claimed}).encode()
        return struct.pack("<Q", len(text)) + text + bytes(16)

    good = claiming()
    twice = json.dumps(
        {name: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} for name in "ab"}
    ).encode()
    return [
        ("empty", b""),
        ("cut in its length", good[:7]),
        ("cut in its header", good[:30]),
        ("cut in its data", good[:-1]),
        ("a header of 2^63", struct.pack("<Q", 1 << 63) + good[8:]),
        ("no JSON", struct.pack("<Q", 4) + b"{{{{"),
        ("no object", struct.pack("<Q", 2) + b"[]"),
        ("deep", struct.pack("<Q", 100_000) + b"[" * 100_000),
        ("an unknown type", claiming(dtype="I64")),
        ("a type that is no string", claiming(dtype=[1])),
        ("a huge shape", claiming(shape=[1 << 63, 1 << 63])),
        ("a negative shape", claiming(shape=[-4])),
        ("a shape of fractions", claiming(shape=[4.0])),
        ("a shape that is no list", claiming(shape=4)),
        ("no shape", claiming(shape=[])),
        ("no numbers", claiming(shape=[0], data_offsets=[0, 0])),
        ("far away", claiming(data_offsets=[1 << 62, (1 << 62) + 16])),
        ("before the data", claiming(data_offsets=[-16, 0])),
        ("backwards", claiming(data_offsets=[16, 0])),
        ("three offsets", claiming(data_offsets=[0, 8, 16])),
        ("shape and offsets disagree", claiming(shape=[3])),
        ("tensors in one another", struct.pack("<Q", len(twice)) + twice + bytes(16)),
    ]


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in hostile()])
def test_a_safetensors_file_that_lies(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelFileError) as caught:
        safetensors.tensors(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_numbers_that_are_none(value: float, tmp_path: Path) -> None:
    path = directory(tmp_path / "m")
    tensors = {name: exact(seed, *shape) for seed, (name, shape) in enumerate(shapes("llama").items())}
    tensors["model.layers.2.mlp.up_proj.weight"][7, 3] = value
    (path / "model.safetensors").write_bytes(packed(dict(tensors)))
    refused(path, "finite")
