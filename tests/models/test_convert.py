"""From GGUF to a model file: what lies where, held against formulas that share nothing with the converter."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import (
    CONTROL,
    F16,
    FFN,
    HEAD_DIM,
    HEADS,
    HIDDEN,
    KV_HEADS,
    LAYERS,
    MISSING,
    Q8_0,
    WORDS,
    File,
    TensorBytes,
    converted,
    f32,
    gpt2_vocabulary,
    llama_vocabulary,
    tiny,
    values_in,
    weights,
)

from nczip.errors import ModelFileError
from nczip.models import convert, gguf_source
from nczip.models.ncm import Model
from nczip.models.rope import llama3, plain
from nczip.models.vocabulary import NO_ID

FAMILIES = ("llama", "qwen2", "qwen3", "gemma3")


def refused(file: File, directory: Path, said: str) -> None:
    with pytest.raises(ModelFileError, match=said) as caught:
        converted(file, directory)
    assert str(caught.value).isprintable()


def by_rows(model: Model, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A matrix as rows of integers, and the scales, by the definition of a tile."""
    tiles, scales = model.tensors[name], model.tensors[f"{name}.scale"]
    rows, columns = tiles.shape[0] * 16, tiles.shape[1] * 4
    values = np.array(
        [[int(tiles[r // 16, c // 4, r % 16, c % 4]) - 128 for c in range(columns)] for r in range(rows)]
    )
    return values, scales


def quantised(row: np.ndarray) -> tuple[list[int], np.float32]:
    """One row, number by number."""
    scale = np.float32(max(abs(value) for value in row)) / np.float32(127)
    return [round(float(np.float32(value) / scale)) if scale else 0 for value in row], scale


def assert_rows(model: Model, name: str, wanted: np.ndarray) -> None:
    values, scales = by_rows(model, name)
    for row, (integers, scale) in enumerate(map(quantised, wanted)):
        assert values[row].tolist() == integers, (name, row)
        assert scales[row] == scale, (name, row)
    assert not values[len(wanted) :].any()
    assert not scales[len(wanted) :].any()


def side_by_side(rows: np.ndarray, heads: int) -> np.ndarray:
    """What llama.cpp's converter does to the rows of q and k."""
    return rows.reshape(heads, 2, HEAD_DIM // 2, -1).swapaxes(1, 2).reshape(rows.shape)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_is_where_it_belongs(family: str, tmp_path: Path) -> None:
    file = tiny(family)
    names = ("q", "k", "v")
    qkv = [
        [
            weights(100 * layer + i, heads * HEAD_DIM, HIDDEN)
            for i, heads in enumerate((HEADS, KV_HEADS, KV_HEADS))
        ]
        for layer in range(LAYERS)
    ]
    for layer in range(LAYERS):
        for part, rows, heads in zip(names, qkv[layer], (HEADS, KV_HEADS, KV_HEADS), strict=True):
            stored = side_by_side(rows, heads) if family == "llama" and part != "v" else rows
            file.tensors[f"blk.{layer}.attn_{part}.weight"] = f32(stored)
    model = converted(file, tmp_path)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        assert_rows(model, f"layers.{layer}.qkv", np.concatenate(qkv[layer]))
        assert_rows(model, f"layers.{layer}.output", values_in(file, f"{block}attn_output.weight"))
        assert_rows(model, f"layers.{layer}.down", values_in(file, f"{block}ffn_down.weight"))
        gate, up = values_in(file, f"{block}ffn_gate.weight"), values_in(file, f"{block}ffn_up.weight")
        mixed = [part[row : row + 16] for row in range(0, FFN, 16) for part in (gate, up)]
        assert_rows(model, f"layers.{layer}.gate_up", np.concatenate(mixed))
        vectors = {"attn_norm": "attention_norm", "ffn_norm": "ffn_norm"}
        if family in ("qwen3", "gemma3"):
            vectors |= {"attn_q_norm": "q_norm", "attn_k_norm": "k_norm"}
        if family == "gemma3":
            vectors |= {"post_attention_norm": "post_attention_norm", "post_ffw_norm": "post_ffn_norm"}
        for stored_name, name in vectors.items():
            assert (
                model.tensors[f"layers.{layer}.{name}"].tolist()
                == values_in(file, f"{block}{stored_name}.weight").tolist()
            )
        if family == "qwen2":
            biases = [values_in(file, f"{block}attn_{part}.bias") for part in names]
            assert model.tensors[f"layers.{layer}.qkv.bias"].tolist() == np.concatenate(biases).tolist()
    assert model.tensors["final_norm"].tolist() == values_in(file, "output_norm.weight").tolist()


def test_the_head_has_a_row_for_each_entry_and_the_beginning(tmp_path: Path) -> None:
    file = tiny()
    model = converted(file, tmp_path)
    embedding = values_in(file, "token_embd.weight")
    ids = model.tensors["vocabulary.ids"].tolist()
    rows = [np.zeros(HIDDEN, np.float32) if token == NO_ID else embedding[token] for token in ids]
    assert model.bos == model.vocabulary_size == len(ids)
    assert_rows(model, "head", np.array([*rows, embedding[1]]))
    assert model.tied
    assert "embedding" not in model.tensors


def test_a_head_of_its_own(tmp_path: Path) -> None:
    file = tiny("qwen2")
    del file.metadata["tokenizer.ggml.bos_token_id"]
    file.tensors["output.weight"] = f32(weights(7, *file.tensors["token_embd.weight"].shape))
    model = converted(file, tmp_path)
    ids = model.tensors["vocabulary.ids"].tolist()
    assert model.bos is None
    for name, stored in (("head", "output.weight"), ("embedding", "token_embd.weight")):
        matrix = values_in(file, stored)
        rows = [np.zeros(HIDDEN, np.float32) if token == NO_ID else matrix[token] for token in ids]
        assert_rows(model, name, np.array(rows))


def strings(model: Model) -> list[bytes]:
    return [model.decode(np.array([entry])) for entry in range(model.vocabulary_size)]


def test_the_vocabulary(tmp_path: Path) -> None:
    model = converted(tiny(), tmp_path)
    entries = strings(model)
    assert entries == sorted({*(bytes([byte]) for byte in range(256)), *WORDS, b"<tool>"})
    ids = dict(zip(entries, model.tensors["vocabulary.ids"].tolist(), strict=True))
    assert {entry for entry, token in ids.items() if token == NO_ID} == {bytes([byte]) for byte in MISSING}
    tokens = gpt2_vocabulary()["tokenizer.ggml.tokens"]
    assert tokens[ids[b"<tool>"]] == "<tool>"
    assert tokens[ids[b" the"]] == "Ġthe"


def test_a_piece_comes_before_its_byte_fallback(tmp_path: Path) -> None:
    model = converted(tiny("gemma3", llama_vocabulary()), tmp_path)
    ids = dict(zip(strings(model), model.tensors["vocabulary.ids"].tolist(), strict=True))
    tokens = llama_vocabulary()["tokenizer.ggml.tokens"]
    assert [tokens[ids[entry]] for entry in (b"A", b"B", b" ", b"\n", b" the", b"<td>")] == [
        "A", "<0x42>", "▁", "\n", "▁the", "<td>",
    ]  # fmt: skip
    assert NO_ID not in ids.values()


@pytest.mark.parametrize("token", ["<0x-5>", "<0x 5>", "<0x5_>", "<0x+F>", "<0x41", "\x1b"])
def test_a_byte_token_that_spells_none(token: str, tmp_path: Path) -> None:
    vocabulary = llama_vocabulary()
    spelling = vocabulary["tokenizer.ggml.tokens"].index("<0x42>")
    vocabulary["tokenizer.ggml.tokens"][spelling] = token
    model = converted(tiny("gemma3", vocabulary), tmp_path)
    ids = dict(zip(strings(model), model.tensors["vocabulary.ids"].tolist(), strict=True))
    assert ids[b"B"] == NO_ID
    assert spelling not in ids.values()


def test_of_equal_tokens_the_first_counts(tmp_path: Path) -> None:
    vocabulary = gpt2_vocabulary()
    vocabulary["tokenizer.ggml.tokens"] += ["the"]
    vocabulary["tokenizer.ggml.token_type"] += [1]
    model = converted(tiny("llama", vocabulary), tmp_path)
    ids = dict(zip(strings(model), model.tensors["vocabulary.ids"].tolist(), strict=True))
    assert ids[b"the"] == vocabulary["tokenizer.ggml.tokens"].index("the")
    assert model.decode(model.encode(b"the other")) == b"the other"


def test_what_the_header_says(tmp_path: Path) -> None:
    model = converted(tiny("gemma3", llama_vocabulary()), tmp_path)
    assert model.header["architecture"] == {
        "family": "gemma3", "layers": LAYERS, "hidden": HIDDEN, "heads": HEADS, "kv_heads": KV_HEADS,
        "head_dim": HEAD_DIM, "ffn": FFN, "context": 64, "norm_eps": 1e-6, "activation": "gelu_tanh",
        "embedding_scale": 5.65625, "attention_scale": 0.35355338, "layer_kinds": [0, 0],
    }  # fmt: skip
    assert model.header["attention"] == [{"window": 16, "rope": 0}, {"window": 0, "rope": 1}]
    assert (model.name, model.header["license"], model.header["arithmetic"]) == ("tiny", "cc0-1.0", 1)
    assert model.tensors["rope.0"].tolist() == plain(10000.0, 4).steps()
    assert model.tensors["rope.1"].tolist() == plain(1000000.0, 4).steps()


def test_every_sixth_layer_of_gemma_looks_back_all_the_way(tmp_path: Path) -> None:
    file = tiny("gemma3", llama_vocabulary())
    file.metadata["gemma3.block_count"] = 13
    for name in [name for name in file.tensors if name.startswith("blk.1.")]:
        for layer in range(2, 13):
            file.tensors[name.replace("blk.1.", f"blk.{layer}.")] = file.tensors[name]
    assert converted(file, tmp_path).architecture.layer_kinds == (0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0)


@pytest.mark.parametrize(("theta", "pairs"), [(10000.0, 32), (100000.0, 32), (1e6, 128), (500000.0, 64)])
def test_rotary_steps_are_the_rounded_ones(theta: float, pairs: int) -> None:
    steps = plain(theta, pairs).steps()
    for i, step in enumerate(steps):
        exact = theta ** (-i / pairs) / (2 * math.pi) * 2**32
        assert abs(step - exact) <= 0.5 + 1e-5
    assert steps[0] == 683565276
    assert plain(theta, pairs, 8.0).steps()[0] == round(683565275.5764 / 8)


def test_llama_3_scaling() -> None:
    """Against the formula of its authors: factor 8, from 8192 tokens on, between 1 and 4 waves."""
    pairs = 64
    scaled = llama3(500000.0, pairs, factor=8.0, low=1.0, high=4.0, trained_context=8192).steps()
    for i, step in enumerate(scaled):
        frequency = 500000.0 ** (-i / pairs)
        wave = 2 * math.pi / frequency
        if wave > 8192:
            frequency /= 8
        elif wave >= 8192 / 4:
            smooth = (8192 / wave - 1) / 3
            frequency = (1 - smooth) * frequency / 8 + smooth * frequency
        assert abs(step - frequency / (2 * math.pi) * 2**32) <= 0.5 + 1e-5
    assert scaled != plain(500000.0, pairs).steps()


def test_rotary_factors_of_a_file(tmp_path: Path) -> None:
    file = tiny()
    file.tensors["rope_freqs.weight"] = f32(np.array([1, 1, 2, 32], np.float32))
    steps = converted(file, tmp_path).tensors["rope.0"].tolist()
    exact = [10000.0 ** (-i / 4) / factor / (2 * math.pi) * 2**32 for i, factor in enumerate((1, 1, 2, 32))]
    assert steps == [round(step) for step in exact]


@pytest.mark.parametrize("kind", [F16, Q8_0])
def test_a_quantised_source(kind: int, tmp_path: Path) -> None:
    file = tiny()
    if kind == F16:
        data = weights(5, HIDDEN, FFN).astype("<f2").tobytes()
        name, shape = "blk.1.ffn_down.weight", (HIDDEN, FFN)
        wanted = np.frombuffer(data, "<f2").astype(np.float32).reshape(shape)
    else:
        rng = np.random.default_rng(5)
        scales, values = rng.random(FFN).astype("<f2"), rng.integers(-127, 128, (FFN, 32), np.int8)
        data = b"".join(scale.tobytes() + row.tobytes() for scale, row in zip(scales, values, strict=True))
        name, shape = "blk.1.ffn_gate.weight", (FFN, HIDDEN)
        wanted = values.astype(np.float32) * scales.astype(np.float32)[:, None]
    file.tensors[name] = TensorBytes(shape, kind, data)
    model = converted(file, tmp_path)
    if kind == F16:
        assert_rows(model, "layers.1.down", wanted)
    else:
        values, _ = by_rows(model, "layers.1.gate_up")
        assert values[0].tolist() == quantised(wanted[0])[0]
        assert values[32].tolist() == quantised(wanted[16])[0]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    source = gguf_source.read(tiny().write(tmp_path / "m.gguf"))
    files = []
    for _ in range(2):
        sink = io.BytesIO()
        convert.write(source, sink, name="tiny", on_progress=lambda *_: None)
        files.append(sink.getvalue())
    assert files[0] == files[1]
    assert len(files[0]) % 64 == 0


@pytest.mark.parametrize(
    "row",
    [
        [0.0, -0.0, 0.0, 0.0],
        [1e-45, 0.0, -1e-45, 0.0],  # the scale rounds to 0
        [1.8e-43, -1.8e-43, 1e-45, 0.0],  # the scale is too coarse to hold the quotient below 127
        [3.4e38, -3.4e38, 1.0, 1e38],
        [127.0, 0.5, 1.5, -2.5],  # halves go to the even side
    ],
)
def test_rows_at_the_edges(row: list[float]) -> None:
    integers, scales = convert.quantise(np.array([row], np.float32))
    assert np.abs(integers).max() <= 127
    assert np.isfinite(scales).all()
    if row[0] == 127.0:
        assert integers.tolist() == [[127, 0, 2, -2]]
    if max(map(abs, row)) < 1e-44:
        assert (integers.any(), scales[0]) == (False, 0)
    if row[0] == 1.8e-43:
        assert integers.tolist() == [[127, -127, 1, 0]]


BAD_NUMBERS = {"infinity": math.inf, "minus infinity": -math.inf, "not a number": math.nan}
SPOILT = (
    "token_embd.weight",
    "blk.1.ffn_up.weight",
    "blk.0.attn_q.weight",
    "output_norm.weight",
    "blk.1.attn_k.bias",
)


@pytest.mark.parametrize("name", SPOILT)
@pytest.mark.parametrize("value", BAD_NUMBERS.values(), ids=BAD_NUMBERS)
def test_numbers_that_are_none_are_refused(name: str, value: float, tmp_path: Path) -> None:
    file = tiny("qwen2")
    data = bytearray(file.tensors[name].data)
    struct.pack_into("<f", data, len(data) // 8 * 4, value)
    file.tensors[name] = TensorBytes(file.tensors[name].shape, 0, bytes(data))
    refused(file, tmp_path, "finite")


@pytest.mark.parametrize("scale", [math.inf, math.nan])
def test_scales_that_are_none_are_refused(scale: float, tmp_path: Path) -> None:
    file = tiny()
    block = struct.pack("<e", scale) + bytes(32)
    file.tensors["blk.0.ffn_up.weight"] = TensorBytes((FFN, HIDDEN), Q8_0, block * FFN)
    refused(file, tmp_path, "finite")


@pytest.mark.parametrize("family", FAMILIES)
def test_each_tensor_has_to_be_there_in_its_shape(family: str, tmp_path: Path) -> None:
    for name in tiny(family).tensors:
        file = tiny(family)
        one = file.tensors.pop(name)
        refused(file, tmp_path, "lacks the tensor|claims .* layers")
        if len(one.shape) == 2:
            file.tensors[name] = f32(weights(1, one.shape[0], one.shape[1] + 4))
            refused(file, tmp_path, "in the shape")
        file.tensors[name] = f32(weights(1, one.shape[0] // 2, *one.shape[1:]))
        refused(file, tmp_path, "in the shape|and a token")
        file.tensors[name] = f32(weights(1, *one.shape[:-1], one.shape[-1], 1))
        refused(file, tmp_path, "in the shape")


def without(key: str) -> Callable[[File], None]:
    return lambda file: file.metadata.pop(key)


def saying(key: str, value: Any) -> Callable[[File], None]:
    return lambda file: file.metadata.update({key: value})


def with_tensor(name: str) -> Callable[[File], None]:
    return lambda file: file.tensors.update({name: f32(weights(1, HIDDEN))})


DOES_NOT_HOLD = "does not hold together"
CHANGES: list[tuple[Callable[[File], None], str]] = [
    (without("general.architecture"), "lacks general.architecture"),
    (saying("general.architecture", "mamba"), "architecture 'mamba'"),
    (saying("general.architecture", 7), "wrong type"),
    (without("llama.block_count"), "lacks llama.block_count"),
    (saying("llama.block_count", "2"), "wrong type"),
    (saying("llama.block_count", True), "wrong type"),
    (saying("llama.block_count", 2.0), "wrong type"),
    (saying("llama.block_count", 0), "cannot be"),
    (saying("llama.block_count", -2), "cannot be"),
    (saying("llama.block_count", 1 << 31), "claims 2,147,483,648 layers"),
    (saying("llama.block_count", 3), "lacks the tensor"),
    (saying("llama.attention.head_count", 0), "no attention heads"),
    (saying("llama.attention.head_count", 1 << 31), "cannot be"),
    (saying("llama.attention.head_count", [4, 4]), "wrong type"),
    (saying("llama.attention.head_count_kv", 3), "does not take"),
    (saying("llama.attention.head_count_kv", 0), "cannot be"),
    (saying("llama.attention.key_length", 7), "another length|does not take"),
    (saying("llama.attention.key_length", 1 << 31), "another length|cannot be"),
    (saying("llama.attention.value_length", 4), "another length"),
    (saying("llama.rope.dimension_count", 4), "only a part"),
    (saying("llama.embedding_length", (1 << 32) - 1), "cannot be"),
    (saying("llama.feed_forward_length", 40), "does not take"),
    (saying("llama.feed_forward_length", 64), "in the shape"),
    (saying("llama.attention.layer_norm_rms_epsilon", math.nan), "more than 0"),
    (saying("llama.attention.layer_norm_rms_epsilon", -1.0), "more than 0"),
    (saying("llama.rope.freq_base", math.inf), "more than 0"),
    (saying("llama.rope.freq_base", 0.0), "more than 0"),
    (saying("llama.rope.scaling.type", "yarn"), "scales positions by 'yarn'"),
    (saying("llama.attention.sliding_window", 128), "sliding window"),
    (with_tensor("blk.0.attn_output.bias"), "'blk.0.attn_output.bias', which nczip does not know"),
    (with_tensor("blk.0.ffn_gate_exps.weight"), "does not know"),
    (with_tensor("blk.x.attn_q.weight"), "does not know"),
    (with_tensor("rope_freqs.weight"), "no model can have"),
    (without("tokenizer.ggml.tokens"), "lacks tokenizer.ggml.tokens"),
    (saying("tokenizer.ggml.tokens", [1, 2]), DOES_NOT_HOLD),
    (saying("tokenizer.ggml.tokens", ["a"]), DOES_NOT_HOLD),
    (saying("tokenizer.ggml.token_type", "x"), "wrong type"),
    (saying("tokenizer.ggml.model", "bert"), "kind 'bert'"),
    (saying("tokenizer.ggml.model", "llama"), "lacks tokenizer.ggml.scores"),
    (saying("tokenizer.ggml.pre", "klingon"), "'klingon'"),
    (saying("tokenizer.ggml.bos_token_id", 1 << 30), "begins with the token"),
    (saying("tokenizer.ggml.merges", ["abc"]), "not two tokens"),
    (saying("tokenizer.ggml.merges", ["a b c"]), "not two tokens"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_what_does_not_fit_is_refused(change: Callable[[File], None], said: str, tmp_path: Path) -> None:
    file = tiny()
    change(file)
    refused(file, tmp_path, said)


def test_more_tokens_than_rows(tmp_path: Path) -> None:
    file = tiny()
    file.metadata["tokenizer.ggml.tokens"] = [*file.metadata["tokenizer.ggml.tokens"], "zz"]
    file.metadata["tokenizer.ggml.token_type"] = [*file.metadata["tokenizer.ggml.token_type"], 1]
    refused(file, tmp_path, "rows in its head, and a token|rows in its embedding, and a token")


def test_a_vocabulary_of_control_tokens_spells_bytes(tmp_path: Path) -> None:
    vocabulary = gpt2_vocabulary()
    vocabulary["tokenizer.ggml.token_type"] = [CONTROL] * len(vocabulary["tokenizer.ggml.tokens"])
    model = converted(tiny("llama", vocabulary), tmp_path)
    assert model.vocabulary_size == 256
    assert model.decode(model.encode(b"hello \xff")) == b"hello \xff"
