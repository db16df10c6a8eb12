"""Packing one block and getting it back; noticing what cannot be packed."""

from __future__ import annotations

import hashlib
import tracemalloc
import zlib
from dataclasses import replace

import pytest
import zstandard

from nczip import CorruptError, NewerVersionError, blocks, coders, language, levels, sampling
from nczip.blocks import Packed, Step
from nczip.container import LANGUAGE, MIXTURE, RAW, ZSTD, BlockHead, Method
from nczip.device import Choice

MIB = 1 << 20


def noise_of(size: int) -> bytes:
    return hashlib.shake_256(b"block").digest(size)


def quiet(_raw: int, _packed: int) -> None:
    pass


def pack(level: int, raw: bytes, step: Step = quiet) -> Packed:
    return blocks.pack(levels.plan(level).methods, level, raw, step)


def magicless(raw: bytes, window_log: int) -> bytes:
    """A zstd frame as blocks have them, with a window of the caller's choice."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        1, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False, window_log=window_log
    )
    coder = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return coder.compress(raw) + coder.flush()


def head_of(method: Method, raw: bytes, packed: bytes) -> BlockHead:
    return BlockHead(0, len(raw), len(packed), 0, zlib.crc32(packed), blocks.content_hash(raw), 0)


def unpack(method: Method, raw: bytes, packed: bytes) -> bytes:
    return blocks.unpack(method, head_of(method, raw, packed), packed, quiet)


@pytest.mark.parametrize("level", levels.LEVELS)
class TestEveryLevel:
    def test_round_trip(self, level: int, text: bytes) -> None:
        packed = pack(level, text)
        assert packed.method == levels.default_method(level)
        assert len(packed.data) < len(text)
        assert unpack(packed.method, text, packed.data) == text

    @pytest.mark.parametrize("raw", [b"", b"\0", b"ab"])
    def test_too_short_to_gain(self, level: int, raw: bytes) -> None:
        packed = pack(level, raw)
        assert (packed.method, packed.data) == (Method(RAW), raw)

    @pytest.mark.parametrize("size", [100, 5000, 1 << 16])
    def test_noise_is_stored(self, level: int, size: int, noise: bytes) -> None:
        packed = pack(level, noise[:size])
        assert (packed.method, packed.data) == (Method(RAW), noise[:size])

    def test_steps_are_reported_and_may_stop_it(self, level: int, text: bytes) -> None:
        class StopError(Exception):
            pass

        def stop(raw: int, packed: int) -> None:
            raise StopError

        method = levels.default_method(level)
        with pytest.raises(StopError):
            pack(level, text * 4, stop)
        packed = pack(level, text).data
        with pytest.raises(StopError):
            blocks.unpack(method, head_of(method, text, packed), packed, stop)

    def test_progress_ends_at_the_whole(self, level: int, text: bytes) -> None:
        seen: list[tuple[int, int]] = []
        packed = pack(level, text * 9, lambda *done: seen.append(done))
        assert seen[-1][0] == len(text) * 9
        assert [raw for raw, _ in seen] == sorted(raw for raw, _ in seen)
        head = head_of(packed.method, text * 9, bytes(packed.data))
        seen.clear()
        blocks.unpack(packed.method, head, bytes(packed.data), lambda *done: seen.append(done))
        assert seen[-1] == (len(text) * 9, len(packed.data))
        assert seen == sorted(seen)


@pytest.mark.parametrize("level", levels.LANGUAGE_LEVELS)
def test_runs_are_tried_without_the_model_where_it_pays_for_every_token(level: int) -> None:
    methods = replace(levels.plan(level), transforms=False).methods
    assert blocks._suited(methods, level, memoryview(b"and " * 9000), quiet) == (
        methods if level == 7 else methods[:1]
    )
    if level == 7:
        assert len(pack(7, b"and " * 9000).data) < 60


def test_in_doubt_a_trial_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = memoryview(b"".join(b"%d,%x;" % (i * i, i * 77) for i in range(9000)))
    methods = replace(levels.plan(8), numbers=None, transforms=False).methods
    monkeypatch.setattr(language, "bytes_a_token", lambda *_: 1.5)
    tried: list[tuple[int, int]] = []

    def pack_to(sizes: dict[int, int]) -> None:
        def packed(
            method: Method, _level: int, piece: memoryview, _bases: object, _on: Choice, _step: Step
        ) -> bytes:
            tried.append((method.id, len(piece)))
            return bytes(sizes[method.id])

        monkeypatch.setattr(blocks, "_pack", packed)

    pack_to({LANGUAGE: 970, MIXTURE: 1000})
    assert blocks._suited(methods, 8, raw, quiet) == methods[:1]
    assert tried == [(LANGUAGE, language.TRIAL), (MIXTURE, language.TRIAL)]
    pack_to({LANGUAGE: 990, MIXTURE: 1000})
    assert blocks._suited(methods, 8, raw, quiet) == methods[1:]
    assert blocks._suited(methods, 8, raw[: language.TRIAL], quiet) == methods


class TestLooksRandom:
    @pytest.mark.parametrize("size", [1 << 12, 1 << 15, 1 << 20])
    def test_noise(self, size: int) -> None:
        assert sampling.looks_random(memoryview(noise_of(size)))

    def test_compressed_bytes(self) -> None:
        digits = b"".join(hashlib.sha256(bytes([i])).hexdigest().encode() for i in range(256))
        assert sampling.looks_random(memoryview(zlib.compress(digits)))

    def test_text(self, text: bytes) -> None:
        assert not sampling.looks_random(memoryview(text))

    def test_noise_that_repeats(self) -> None:
        assert not sampling.looks_random(memoryview(noise_of(1 << 14) * 2))

    def test_noise_without_some_values(self) -> None:
        assert not sampling.looks_random(memoryview(bytes(b % 250 for b in noise_of(1 << 16))))

    def test_noise_in_part_of_a_block(self, text: bytes) -> None:
        assert not sampling.looks_random(memoryview(noise_of(1 << 18) + text * 16))

    def test_noise_is_not_given_to_the_mixture(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def never(*_: object) -> None:
            raise AssertionError("the mixture was started")

        monkeypatch.setattr(coders, "pack_mixture", never)
        monkeypatch.setattr(coders, "pack_zstd", never)
        monkeypatch.setattr(language, "pack", never)
        for level in levels.LEVELS:
            assert pack(level, noise_of(MIB)).method.id == RAW

    def test_the_mixture_gives_up_on_what_the_samples_hid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Zeros where the first look samples make the block seem worth it; the rest is noise.
        raw = bytes(sampling.SAMPLE_SIZE) + noise_of(MIB)
        assert not sampling.looks_random(memoryview(raw))
        seen = []
        packed = pack(5, raw, lambda raw, _packed: seen.append(raw))
        assert packed.method.id == RAW
        assert 0 < len(seen) - 1 <= 3 * coders.GIVE_UP_STEP // coders.MIXTURE_STEP


class TestUnpackDamaged:
    def test_packed_bytes(self, text: bytes) -> None:
        method = levels.default_method(5)
        packed = pack(5, text).data
        with pytest.raises(CorruptError, match="packed bytes"):
            blocks.unpack(method, head_of(method, text, packed), packed[:-1] + b"?", quiet)

    @pytest.mark.parametrize("level", [3, 5, 7, 8])
    def test_content_that_does_not_match(self, level: int, text: bytes) -> None:
        method = levels.default_method(level)
        packed = pack(level, text).data
        with pytest.raises(CorruptError, match="content"):
            unpack(method, text[:-1] + b"?", packed)

    def test_stored_with_another_size(self) -> None:
        with pytest.raises(CorruptError):
            unpack(Method(RAW), b"abc", b"ab")

    def test_zstd_that_gives_more_or_less(self, text: bytes) -> None:
        packed = pack(1, text).data
        for other in (text[:-1], text + b"?"):
            with pytest.raises(CorruptError):
                unpack(Method(ZSTD), other, packed)

    @pytest.mark.parametrize(
        "packed",
        [
            bytes([0xE0]) + (1 << 60).to_bytes(8, "little") + bytes.fromhex("010000"),
            bytes([0xC0, 0x00]) + (1 << 60).to_bytes(8, "little") + bytes.fromhex("010000"),
            bytes.fromhex("00f8 010000"),
            bytes.fromhex("0050 010000"),
            b"",
            b"\xff" * 40,
        ],
        ids=[
            "exabyte",
            "exabyte, small window",
            "window of 2 TB",
            "window above content",
            "empty",
            "noise",
        ],
    )
    def test_hostile_zstd(self, packed: bytes) -> None:
        with pytest.raises(CorruptError):
            unpack(Method(ZSTD), bytes(100), packed)

    @pytest.mark.parametrize(("window_log", "fits"), [(10, True), (11, False), (20, False)])
    def test_zstd_window(self, window_log: int, fits: bool) -> None:
        raw = b"window " * 100
        packed = magicless(raw, window_log)
        if fits:
            assert unpack(Method(ZSTD), raw, packed) == raw
        else:
            with pytest.raises(CorruptError, match="zstd"):
                unpack(Method(ZSTD), raw, packed)

    def test_zstd_bomb_stops_at_the_size_claimed(self) -> None:
        bomb = magicless(bytes(64 * MIB), 10)
        head = head_of(Method(ZSTD), bytes(1024), bomb)
        tracemalloc.start()
        try:
            with pytest.raises(CorruptError):
                blocks.unpack(Method(ZSTD), head, bomb, quiet)
            assert tracemalloc.get_traced_memory()[1] < 1 * MIB
        finally:
            tracemalloc.stop()

    def test_unknown_mixture(self) -> None:
        with pytest.raises(NewerVersionError):
            unpack(Method(MIXTURE, b"\xff\xff\xff"), b"abc", b"x")


class TestWhatALanguageModelIsFor:
    def test_text(self, text: bytes) -> None:
        assert pack(8, text).method.id == LANGUAGE

    def test_what_its_tokenizer_has_no_words_for_goes_to_the_mixture(self) -> None:
        numbers = b"".join(b"%d," % (i * i) for i in range(1000))
        assert pack(8, numbers) == pack(levels.OTHERWISE, numbers)

    def test_what_is_neither_is_tried_both_ways(self, text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        tried = []
        known = blocks._pack
        monkeypatch.setattr(
            blocks, "_pack", lambda method, *rest: tried.append(method.id) or known(method, *rest)
        )
        raw = b"".join(b"record %d, worth %d\n" % (i, i * i) for i in range(120))
        packed = pack(8, raw)
        assert tried == [LANGUAGE, MIXTURE]
        assert len(packed.data) <= len(pack(levels.OTHERWISE, raw).data)
