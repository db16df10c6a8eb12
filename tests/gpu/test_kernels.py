"""The kernels against the core, to the bit: their source, compiled as C++."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from tiny_transformers import SHAPES, Arguments, Tiny, scaled
from tiny_transformers import Shape as Shape_
from twin import SHARED, Twin

from nczip import _core
from nczip.device.launching import Memory, Program
from nczip.device.passes import Caches, Passes, Shape
from nczip.device.weights import Weights

TOKENS = 90  # more than the window
WINDOW = 64


# What the core's own tests have no need of: other sizes of a head, and more queries to a key than a tile has.
HEADS = {
    "heads of 48": Shape_(heads=2, kv_heads=1, head_dim=48, layers=1),
    "heads of 64": Shape_(heads=3, kv_heads=1, head_dim=64, layers=1),
    "heads of 128": Shape_(heads=1, kv_heads=1, head_dim=128, layers=1),
    "heads of 256": Shape_(heads=5, kv_heads=1, head_dim=256, layers=1, local=16),
    "many queries": Shape_(heads=24, kv_heads=1, layers=1),
}
ALL = SHAPES | HEADS


@functools.cache
def tiny(name: str) -> Tiny:
    return Tiny(ALL[name])


def logits(
    arguments: Arguments, tokens: np.ndarray, lengths: list[int], shared: int = SHARED, window: int = WINDOW
) -> np.ndarray:
    """Of a block whose tokens pass in stretches of these lengths, beside another that has as many."""
    device = Twin(shared=shared)
    weights = Weights(device, *arguments)
    memory = Memory(device)
    caches = Caches(weights, Shape(blocks=2, length=max(lengths), room=1, window=window), memory)
    passes = Passes(weights, caches, 2, memory)
    program = Program([launch for launch in passes.encoding().launches if launch.kernel != "intervals"])
    results, position = [], 0
    for count in lengths:
        filled = np.zeros((2, max(lengths)), np.uint32)
        filled[1, :count] = tokens[position : position + count]
        filled[0, :count] = tokens[::-1][position : position + count]
        device.upload(passes.token, filled)
        device.upload(passes.first, np.full(2, position, np.uint32))
        device.upload(passes.count, np.full(2, count, np.uint32))
        device.run(program)
        out = np.zeros((2, max(lengths), passes.logit_pitch), np.float32)
        device.download(passes.logits, out)
        results.append(out[1, :count, : weights.vocabulary])
        position += count
    return np.concatenate(results)


def expected(arguments: Arguments, tokens: np.ndarray, window: int = WINDOW) -> np.ndarray:
    core = _core.LanguageModel(*arguments)
    return np.frombuffer(_core.logits(core, window, tokens), np.float32).reshape(len(tokens), -1)


def stretches(length: int) -> list[int]:
    return [length] * (TOKENS // length) + ([TOKENS % length] if TOKENS % length else [])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("length", [1, 40])
def test_logits_are_those_of_the_core(name: str, length: int) -> None:
    tokens = tiny(name).tokens(TOKENS)
    found = logits(tiny(name).arguments, tokens, stretches(length))
    assert found.tobytes() == expected(tiny(name).arguments, tokens).tobytes()


def test_a_gpu_with_little_shared_memory() -> None:
    """Fewer queries pass together."""
    tokens = tiny("llama").tokens(TOKENS)
    found = logits(tiny("llama").arguments, tokens, stretches(7), shared=4 << 10)
    assert found.tobytes() == expected(tiny("llama").arguments, tokens).tobytes()


@pytest.mark.parametrize(
    "factors",
    [
        pytest.param([("qkv.scale", 64.0)], id="few positions matter"),
        pytest.param([("qkv.scale", 2.0**-40)], id="all positions matter"),
        pytest.param([("output.scale", 1e25), ("down.scale", 1e25)], id="what overflows"),
        pytest.param([("scale", 1e-30)], id="next to nothing"),
        pytest.param([("scale", 1e38), ("norm", 1e38)], id="no numbers at all"),
    ],
)
def test_weights_of_any_size(factors: list[tuple[str, float]]) -> None:
    with np.errstate(over="ignore", under="ignore"):
        arguments = scaled(tiny("llama").arguments, factors)
    tokens = tiny("llama").tokens(TOKENS)
    found, wanted = logits(arguments, tokens, stretches(40)), expected(arguments, tokens)
    assert np.array_equal(found, wanted, equal_nan=True)


def test_more_attention_than_sums_hold() -> None:
    """Where thousands of positions weigh the same, their weights get fewer bits."""
    shape = Shape_(hidden=32, heads=1, kv_heads=1, ffn=16, layers=1, entries=257)
    model = Tiny(shape)
    with np.errstate(under="ignore"):
        arguments = scaled(model.arguments, [("qkv.scale", 2.0**-40)])
    tokens = model.tokens(2200)
    found = logits(arguments, tokens, [440] * 5, window=4096)
    assert found.tobytes() == expected(arguments, tokens, 4096).tobytes()
