"""Blocks through a tiny language model: back alone or side by side, with guesses or none, on every path."""

from __future__ import annotations

import contextlib
import functools
import hashlib

import numpy as np
import pytest
from core_stages import PATHS, in_child, skip_unless
from tiny_transformers import with_silent_bytes

from nczip import _core, knowledge
from nczip.reference.cdf import TOTAL
from nczip.reference.range_coder import RangeEncoder
from nczip.reference.token_weights import TokenWeights
from nczip.reference.transformer import Transformer

LEVELS = (7, 8, 9)
WINDOW_BITS = 6

PACK = """
arguments, blocks = job
model = _core.LanguageModel(*arguments)
result = []
for config, raw, tokens in blocks:
    encoder = _core.LanguageEncoder(model, config, raw, tokens, knowledge.load())
    encoder.advance(len(raw))
    result.append(encoder.finish())
"""


tiny = functools.cache(with_silent_bytes)


@functools.cache
def texts() -> dict[str, np.ndarray]:
    """Tokens of blocks."""
    entries = tiny().shape.entries
    single = tiny().tokens(2)[1:]
    silent = np.flatnonzero(tiny().tensors["head.scale"][:entries] == 0).astype(np.uint32)
    mixed = tiny().tokens(150)[1:]
    mixed[40:44] = mixed[60] = mixed[-1] = silent[0]
    phrase = np.tile(tiny().tokens(18)[1:], 9)
    phrase[100] = (phrase[100] + 1) % entries
    return {
        "empty": single[:0],
        "one token": single,
        "only silent bytes": silent[:5],
        "mixed": mixed,
        "repeats": phrase.astype(np.uint32),
        "short": tiny().tokens(20)[1:],
    }


@functools.cache
def packed(level: int) -> dict[str, bytes]:
    model = _core.LanguageModel(*tiny().arguments)
    config = _core.language_config(level, 16, WINDOW_BITS)
    results = {}
    for name, tokens in texts().items():
        raw = tiny().spelled(tokens)
        encoder = _core.LanguageEncoder(model, config, raw, tokens, knowledge.load())
        done = 0
        while done < len(raw):
            done = encoder.advance(50)
        results[name] = encoder.finish()
    return results


def unpacked(level: int, names: list[str], results: list[bytes]) -> tuple[list[bytes], int]:
    """The blocks' content, and how many passes of the model that took."""
    model = _core.LanguageModel(*tiny().arguments)
    config = _core.language_config(level, 16, WINDOW_BITS)
    sizes = [len(tiny().spelled(texts()[name])) for name in names]
    decoder = _core.LanguageDecoder(model, config, sizes, results, knowledge.load())
    while not decoder.step():
        pass
    assert decoder.position == sum(sizes)
    return [decoder.content(i) for i in range(len(names))], decoder.passes


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["empty", "one token", "only silent bytes", "mixed", "repeats"])
def test_a_block_comes_back(level: int, name: str) -> None:
    contents, passes = unpacked(level, [name], [packed(level)[name]])
    assert contents == [tiny().spelled(texts()[name])]
    if name == "repeats":
        assert passes < 0.6 * len(texts()[name])  # guesses that were right


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("names", [["mixed", "repeats"], ["repeats", "empty", "mixed", "short", "one token"]])
def test_blocks_come_back_together(level: int, names: list[str]) -> None:
    contents, _ = unpacked(level, names, [packed(level)[name] for name in names])
    assert contents == [tiny().spelled(texts()[name]) for name in names]


@pytest.mark.parametrize("path", PATHS)
def test_every_path_packs_the_same(path: str) -> None:
    jobs = [
        (_core.language_config(level, 16, WINDOW_BITS), tiny().spelled(tokens), tokens.tobytes())
        for level in LEVELS
        for tokens in (texts()["mixed"], texts()["repeats"])
    ]
    used, results = in_child(path, PACK, (tiny().arguments, jobs))
    skip_unless(used, path)
    assert results == [packed(level)[name] for level in LEVELS for name in ("mixed", "repeats")]


@pytest.mark.parametrize("name", ["mixed", "short"])
def test_direct_coding_is_that_of_the_references(name: str) -> None:
    entries = tiny().shape.entries
    silent = tiny().tensors["head.scale"][:entries] == 0
    tokens = texts()[name]
    seen = [entries, *tokens[~silent[tokens]].tolist()]
    logits = Transformer(*tiny().arguments).logits(1 << WINDOW_BITS, seen)
    weights = TokenWeights(silent, 0)
    coder = RangeEncoder()
    row = 0
    for token in tokens.tolist():
        weights.predict(logits[row])
        sums = weights.sums().tolist()
        spare = TOTAL - entries
        low, high = (sums[i] * spare // sums[-1] + i for i in (token, token + 1))
        coder.encode(low, high - low)
        row += not silent[token]
    assert coder.finish() == packed(7)[name]


@pytest.mark.parametrize("level", LEVELS)
def test_damage_gives_other_bytes_or_an_error(level: int) -> None:
    """Never a crash, and never more bytes than the block has."""
    names = ["mixed", "repeats"]
    noise = hashlib.shake_256(b"noise").digest(300)
    swapped = [packed(level)["repeats"], packed(level)["mixed"]]
    for damaged in ([b"", b"\xff" * 300], [noise, noise[1:]], swapped):
        model = _core.LanguageModel(*tiny().arguments)
        config = _core.language_config(level, 16, WINDOW_BITS)
        sizes = [len(tiny().spelled(texts()[name])) for name in names]
        decoder = _core.LanguageDecoder(model, config, sizes, damaged, knowledge.load())
        while not decoder.step(1000):
            pass
        for i, size in enumerate(sizes):
            with contextlib.suppress(ValueError):
                assert len(decoder.content(i)) == size


@pytest.mark.slow
def test_more_states_than_are_remembered() -> None:
    """A block of level 9 keeps the last 65,536 of its states."""
    model = _core.LanguageModel(*tiny().arguments)
    config = _core.language_config(9, 16, WINDOW_BITS)
    tokens = np.tile(tiny().tokens(1001)[1:], 67).astype(np.uint32)
    raw = tiny().spelled(tokens)
    encoder = _core.LanguageEncoder(model, config, raw, tokens, knowledge.load())
    while encoder.advance(len(raw)) < len(raw):
        pass
    decoder = _core.LanguageDecoder(model, config, [len(raw)], [encoder.finish()], knowledge.load())
    while not decoder.step():
        pass
    assert decoder.content(0) == raw


@pytest.mark.parametrize("window_bits", [5, 14, 64 + 11, 255])
def test_windows_that_cannot_be(window_bits: int) -> None:
    with pytest.raises(ValueError, match="configuration"):
        _core.language_config(7, 16, window_bits)
