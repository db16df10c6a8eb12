"""The core's language model against its reference, to the bit: every path, any number of tokens together."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import float_transformer
import numpy as np
import pytest
from core_stages import PATHS, in_child, on_path, skip_unless
from tiny_transformers import SHAPES, Arguments, Tiny, scaled

from nczip import _core
from nczip.reference.token_weights import TokenWeights
from nczip.reference.transformer import Transformer, gelu, silu, sine

TOGETHER = (1, 7, 64)
TOKENS = 150  # more than any window and 64: old positions give way to new ones

LOGITS = """
result = {}
for name, (arguments, window, tokens, together) in job.items():
    model = _core.LanguageModel(*arguments)
    result[name] = [_core.logits(model, window, tokens, count) for count in together]
"""


@dataclass(frozen=True)
class Case:
    arguments: Arguments
    window: int
    tokens: np.ndarray

    def reference(self) -> np.ndarray:
        return Transformer(*self.arguments).logits(self.window, self.tokens)


def of_a_shape(name: str) -> Case:
    tiny = Tiny(SHAPES[name])
    return Case(tiny.arguments, (32, 48)[len(name) % 2], tiny.tokens(TOKENS))


def hostile(name: str, *factors: tuple[str, float]) -> Case:
    tiny = Tiny(SHAPES[name], seed=1)
    return Case(scaled(tiny.arguments, factors), 32, tiny.tokens(TOKENS))


def opposed() -> Case:
    """Each key is the opposite of each query: no visible score is above what the hidden ones become."""
    tiny = Tiny(SHAPES["qwen2"])
    width = tiny.shape.heads * tiny.shape.head_dim
    for name, values in tiny.tensors.items():
        if name.endswith("qkv.bias"):
            values[:width], values[width : width + width // 3] = 1e20, -1e20
    tiny.tensors["rope.0"][:] = 0
    return Case(tiny.arguments, 32, tiny.tokens(TOKENS))


CASES = {
    **{name: functools.partial(of_a_shape, name) for name in SHAPES},
    "huge everywhere": functools.partial(hostile, "qwen3", ("scale", 1e38), ("norm", 1e30)),
    "huge gains": functools.partial(hostile, "gemma3", ("norm", 3e37)),
    "huge values": functools.partial(hostile, "llama", ("qkv.scale", 1e32)),
    "huge gates": functools.partial(hostile, "gemma3", ("gate_up.scale", 1e36)),
    "huge head": functools.partial(hostile, "untied", ("head.scale", 3e38)),
    "little": functools.partial(hostile, "qwen3", ("norm", 1e-20), ("qkv.scale", 1e-16)),
    "nothing": functools.partial(hostile, "llama", ("scale", 0)),
    "almost nothing": functools.partial(hostile, "llama", ("scale", 1e-37), ("norm", 1e-20)),
    "opposed": opposed,
}


@functools.cache
def case_of(name: str) -> Case:
    return CASES[name]()


@functools.cache
def expected(name: str) -> np.ndarray:
    return case_of(name).reference()


@functools.cache
def given(path: str) -> tuple[str, dict[str, list[bytes]]]:
    """What the core makes of all cases on a path, and the path that it took."""
    jobs = {
        name: (case.arguments, case.window, case.tokens.tobytes(), TOGETHER)
        for name, case in ((name, case_of(name)) for name in CASES)
    }
    return in_child(path, LOGITS, jobs)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("path", PATHS)
def test_core_and_reference_give_the_same_logits(path: str, name: str) -> None:
    used, results = given(path)
    skip_unless(used, path)
    for together, logits in zip(TOGETHER, results[name], strict=True):
        found = np.frombuffer(logits, np.float32).reshape(TOKENS, -1)
        wrong = np.flatnonzero((found != expected(name)).any(axis=1))
        assert not len(wrong), f"from position {wrong[0]} on, {together} together"


@pytest.mark.parametrize("name", SHAPES)
def test_the_logits_depend_on_what_was_read(name: str) -> None:
    """That two programs agree says little where nothing is to be decided."""
    logits = expected(name)
    assert np.isfinite(logits).all()
    assert np.std(logits, axis=1).min() > 0.5
    assert np.std(logits, axis=0).mean() > 0.5


def test_what_is_visible() -> None:
    """A token is seen by those within the window, the first four by all; one layer, so no detours."""
    tiny = Tiny(SHAPES["more than its heads hold"])
    window, count = 16, 60
    model = Transformer(*tiny.arguments)
    tokens = tiny.tokens(count)
    before = model.logits(window, tokens)
    for place in (0, 3, 4, 20):
        other = tokens.copy()
        other[place] = (tokens[place] + 1) % tiny.shape.entries
        changed = np.flatnonzero((model.logits(window, other) != before).any(axis=1))
        last = count if place < 4 else place + window - 4
        assert changed.tolist() == list(range(place, last))


def silent_and_not(entries: int) -> np.ndarray:
    scales = np.full(entries, 0.5, np.float32)
    scales[[0, 7, entries - 1]] = 0
    return scales


@pytest.mark.parametrize("rate", [0.0, 0.1])
@pytest.mark.parametrize("path", PATHS)
def test_weights_of_tokens(path: str, rate: float) -> None:
    random = np.random.default_rng(0)
    entries, count = 270, 50
    scales = silent_and_not(entries)
    logits = random.normal(0, 8, (count, entries)).astype(np.float32)
    logits[3] = 0
    logits[4, 5] = 1e38
    logits[5, 6] = np.inf
    logits[6] = -np.inf
    tokens = random.integers(0, 12, count).astype(np.uint32)
    weights = TokenWeights(scales == 0, rate)
    sums = []
    for row, token in zip(logits, tokens.tolist(), strict=True):
        weights.predict(row)
        sums.append(weights.sums())
        weights.update(token)
    found = on_path(
        path, "token_sums", logits.tobytes(), scales.tobytes(), float(np.float32(rate)), tokens.tobytes()
    )
    assert np.frombuffer(found, np.int64).reshape(count, -1).tolist() == np.array(sums).tolist()
    assert np.diff(sums).min() == 1
    assert np.diff(sums).max() == 1 << 28


@pytest.mark.parametrize(
    ("window", "together", "token"), [(0, 1, 0), (40, 1, 0), (16384, 1, 0), (32, 0, 0), (32, 1, 301)]
)
def test_what_cannot_be_asked(window: int, together: int, token: int) -> None:
    model = _core.LanguageModel(*Tiny(SHAPES["llama"]).arguments)
    with pytest.raises(ValueError, match=r"window|vocabulary"):
        _core.logits(model, window, np.array([token], np.uint32), together)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden": 72},
        {"ffn": 40},
        {"head_dim": 24},
        {"head_dim": 512},
        {"heads": 3},
        {"heads": 1 << 60, "kv_heads": 1 << 60},
        {"layers": 3},
        {"layers": 1 << 62},
        {"ffn": 1 << 63},
        {"hidden": 0},
    ],
    ids=str,
)
def test_shapes_that_the_core_does_not_take(change: dict[str, int]) -> None:
    architecture, attention, tensors = Tiny(SHAPES["llama"]).arguments
    with pytest.raises(ValueError, match=r"shape|short|kinds"):
        _core.LanguageModel(architecture | change, attention, tensors)


@pytest.mark.parametrize(
    "name", ["head", "head.scale", "final_norm", "layers.0.down", "layers.1.qkv.scale", "rope.0"]
)
def test_tensors_that_are_too_short(name: str) -> None:
    architecture, attention, tensors = Tiny(SHAPES["llama"]).arguments
    shorter = tensors | {name: tensors[name].reshape(-1)[:-1].copy()}
    with pytest.raises(ValueError, match=f"{name} is too short"):
        _core.LanguageModel(architecture, attention, shorter)


def test_functions_are_what_they_are_called() -> None:
    x = np.linspace(-12, 12, 10_001, dtype=np.float32)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(silu(x), exact / (1 + np.exp(-exact)), rtol=3e-6)
    inner = np.sqrt(2 / np.pi) * (exact + 0.044715 * exact**3)
    np.testing.assert_allclose(gelu(x), 0.5 * exact * (1 + np.tanh(inner)), rtol=3e-6, atol=1e-6)
    phases = np.arange(0, 1 << 32, 429_497, dtype=np.uint32)
    np.testing.assert_allclose(sine(phases), np.sin(phases * (2 * np.pi / (1 << 32))), atol=2e-7)
    corners = np.array([0, 1 << 30, 1 << 31, 3 << 30], np.uint32)
    np.testing.assert_allclose(sine(corners), [0, 1, 0, -1], atol=1e-7)


@pytest.mark.parametrize("name", SHAPES)
def test_integers_say_almost_what_real_numbers_would(name: str) -> None:
    """The Kullback-Leibler divergence from a textbook's network with the same weights, in bits a token."""
    tiny = Tiny(SHAPES[name])
    tokens = tiny.tokens(TOKENS)
    p, q = (
        weights / weights.sum(axis=1, keepdims=True)
        for weights in (
            np.exp2(float_transformer.logits(tiny, tokens)),
            np.exp2(Transformer(*tiny.arguments).logits(160, tokens).astype(np.float64)),
        )
    )
    assert 0 <= np.sum(p * np.log2(p / q), axis=1).mean() < 0.01
