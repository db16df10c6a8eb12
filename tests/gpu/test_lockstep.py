"""Whole blocks of levels 7 and 8 through the scheduler, on the kernels' twin, against the core."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from tiny_transformers import with_silent_bytes
from twin import Twin

from nczip import _core, knowledge
from nczip.device import lockstep, passes
from nczip.device.launching import DeviceError, DeviceMemoryError
from nczip.device.passes import Spelled
from nczip.device.weights import Weights
from nczip.errors import CorruptError

WINDOW_BITS = 6
WINDOW = 1 << WINDOW_BITS
TABLE_BITS = 16
LONGEST = 2000  # bytes of a block's content
LEVELS = pytest.mark.parametrize("level", [7, 8])

tiny = functools.cache(with_silent_bytes)


@functools.cache
def texts() -> list[np.ndarray]:
    """Tokens of blocks, of very different lengths."""
    silent = np.flatnonzero(tiny().tensors["head.scale"][: tiny().shape.entries] == 0).astype(np.uint32)
    mixed = tiny().tokens(150)[1:]
    mixed[40:44] = mixed[60] = mixed[-1] = silent[0]
    long_run = tiny().tokens(30)[1:]
    long_run = np.concatenate([long_run[:9], np.repeat(silent[:1], 40), long_run[9:]])
    ragged = [tiny().tokens(count + 1)[1:] for count in (1, 90, 7, 33)]
    return [mixed, ragged[0][:0], silent[:5], long_run, *ragged]


@functools.cache
def raw() -> list[bytes]:
    return [tiny().spelled(tokens) for tokens in texts()]


def config(level: int) -> bytes:
    return _core.language_config(level, TABLE_BITS, WINDOW_BITS)


def spelled(level: int) -> Spelled | None:
    return Spelled(TABLE_BITS, LONGEST) if level == 8 else None


@functools.cache
def packed(level: int = 7) -> list[bytes]:
    model = _core.LanguageModel(*tiny().arguments)
    results = []
    for content, tokens in zip(raw(), texts(), strict=True):
        encoder = _core.LanguageEncoder(model, config(level), content, tokens, knowledge.load())
        encoder.advance(len(content))
        results.append(encoder.finish())
    return results


def weights(device: Twin | None = None) -> Weights:
    return Weights(device or Twin(), *tiny().arguments)


def everything(level: int = 7) -> list[tuple[int, bytes]]:
    """Raw sizes and packed bytes of all blocks."""
    return list(zip(map(len, raw()), packed(level), strict=True))


MOST = 1000  # bytes of a packed block


@LEVELS
@pytest.mark.parametrize(("blocks", "length"), [(1, 8), (3, 1), (8, 32)])
def test_blocks_are_packed_as_the_core_packs_them(level: int, blocks: int, length: int) -> None:
    with lockstep.encoder(weights(), WINDOW, blocks, length, spelled(level)) as encoder:
        results = dict(encoder.encode(lockstep.Fixed(texts())))
    assert [results[i] for i in range(len(texts()))] == packed(level)


@LEVELS
@pytest.mark.parametrize("blocks", [1, 3])
def test_blocks_of_the_core_are_unpacked(level: int, blocks: int) -> None:
    device = Twin()
    loaded = weights(device)
    assert not spelled(level) or loaded.knowledge  # which stays
    used = device.used
    with lockstep.decoder(loaded, WINDOW, blocks, MOST, spelled(level)) as decoder:
        decoder.least_stretches = 1
        results = dict(decoder.decode(lockstep.Fixed(everything(level))))
    assert [results[i] for i in range(len(texts()))] == raw()
    assert device.used == used


@LEVELS
def test_what_was_packed_is_checked(level: int) -> None:
    wrong = [bytearray(data) for data in packed(level)]
    wrong[0][70] ^= 4
    wrong[4] = bytearray()
    wrong[5] = wrong[5][:20]
    blocks = list(zip(texts(), map(bytes, wrong), map(len, raw()), strict=True))
    with lockstep.checker(weights(), WINDOW, 3, MOST, 8, spelled(level)) as checker:
        results = dict(checker.check(lockstep.Fixed(blocks)))
    # What is cut short reads as zeros, and may be right by chance.
    assert [results[i] for i in (0, 1, 2, 3, 5, 6, 7)] == [False, True, True, True, False, True, True]


@LEVELS
def test_damage_gives_other_bytes_or_an_error(level: int) -> None:
    """The same as the core's, block by block."""
    damaged = [b"\xff" * 300, packed(level)[3][:40], packed(level)[0], b"", b"\x17" * 99]
    sizes = [len(raw()[0]), len(raw()[3]), 50, LONGEST, LONGEST]
    model = _core.LanguageModel(*tiny().arguments)
    core = _core.LanguageDecoder(model, config(level), sizes, damaged, knowledge.load())
    while not core.step(1000):
        pass
    with lockstep.decoder(weights(), WINDOW, 2, MOST, spelled(level)) as decoder:
        results = dict(decoder.decode(lockstep.Fixed(zip(sizes, damaged, strict=True))))
    errors = 0
    for number, result in results.items():
        if isinstance(result, CorruptError):
            errors += 1
            with pytest.raises(ValueError, match=str(result)):
                core.content(number)
        else:
            assert result == core.content(number)
    assert errors


def test_the_next_block_is_asked_for_when_there_is_room() -> None:
    asked: list[int] = []

    def blocks() -> itertools.chain[np.ndarray]:
        for number, tokens in enumerate(texts() * 2):
            asked.append(number)
            yield tokens

    with lockstep.encoder(weights(), WINDOW, 2, 8) as encoder:
        results = encoder.encode(lockstep.Fixed(blocks()))
        first, _ = next(results)
        assert first == 1  # the empty one
        assert asked == [0, 1, 2]
        assert [data for _, data in sorted(results)] == [packed()[0], *packed()[2:], *packed()]


def blocks_that_fit(loaded: Weights, level: int = 7) -> int:
    """How many of 4,096 blocks the device has memory for, which so many do come back from."""
    with lockstep.decoder(loaded, WINDOW, 4096, MOST, spelled(level)) as decoder:
        results = dict(decoder.decode(lockstep.Fixed(everything(level)[4:])))
        assert [results[i] for i in range(4)] == raw()[4:]
        return decoder.blocks


def test_as_many_blocks_as_fit() -> None:
    device = Twin()
    loaded = weights(device)
    device.memory = device.used + (1 << 21)
    assert 4 < blocks_that_fit(loaded) < 100
    device.memory = device.used + (1 << 12)
    with pytest.raises(DeviceMemoryError):
        lockstep.decoder(loaded, WINDOW, 4096, MOST)


def test_memory_that_is_less_than_it_seemed() -> None:
    class Optimist(Twin):
        def free_memory(self) -> int:
            return 1 << 40

    device = Optimist()
    loaded = weights(device)
    device.memory = device.used + (1 << 21)
    assert 4 < blocks_that_fit(loaded) < 100


def test_level_8_takes_the_memory_that_it_counts_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "SPELLED_ROWS", 16)
    device = Twin()
    loaded = weights(device)
    assert loaded.knowledge
    device.memory = device.used + (16 << 20)
    assert 1 < blocks_that_fit(loaded, 8) < 8


def test_a_device_that_vanishes() -> None:
    device = Twin(lasts=20)
    with lockstep.decoder(weights(device), WINDOW, 2, MOST) as decoder, pytest.raises(DeviceError):
        list(decoder.decode(lockstep.Fixed(everything())))
