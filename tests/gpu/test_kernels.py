"""The kernels against the core, to the bit: their source, compiled as C++."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from tiny_transformers import SHAPES, Arguments, Tiny, scaled
from twin import Twin

from nczip import _core
from nczip.device.launching import Launch, Program
from nczip.device.passes import Caches, Passes, Shape
from nczip.device.weights import Weights

TOKENS = 150  # more than any window
WINDOW = 64
DIRECT = dict(SHAPES)


@functools.cache
def tiny(name: str) -> Tiny:
    return Tiny(SHAPES[name])


def logits(arguments: Arguments, tokens: np.ndarray, lengths: list[int], shared: int = 227 << 10) -> np.ndarray:
    """Of a block whose tokens pass in stretches of these lengths, beside another that has as many."""
    device = Twin(shared=shared)
    weights = Weights(device, *arguments)
    caches = Caches(weights, Shape(blocks=2, length=max(lengths), room=1, window=WINDOW))
    passes = Passes(weights, caches, 2)
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


def expected(arguments: Arguments, tokens: np.ndarray) -> np.ndarray:
    core = _core.LanguageModel(*arguments)
    return np.frombuffer(_core.logits(core, WINDOW, tokens), np.float32).reshape(len(tokens), -1)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("length", [1, 7, 40])
def test_logits_are_those_of_the_core(name: str, length: int) -> None:
    tokens = tiny(name).tokens(TOKENS)
    lengths = [length] * (TOKENS // length) + ([TOKENS % length] if TOKENS % length else [])
    found = logits(tiny(name).arguments, tokens, lengths)
    assert found.tobytes() == expected(tiny(name).arguments, tokens).tobytes()
