"""Deflate streams of any compressor, whole, cut or damaged: what is taken of them comes back, bit for bit."""

from __future__ import annotations

import random
import zlib

import pytest
from deflate_writer import Token, deflated
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from nczip import _core, inflating
from nczip.reference import deflate as reference

words = st.lists(
    st.sampled_from([b"the ", b"of ", b"model ", b"\r\n", b"\0\0\0\1", b"what it has seen "]), max_size=400
).map(b"".join)
runs = st.builds(lambda byte, length: bytes([byte]) * length, st.integers(0, 255), st.integers(0, 9000))
noise = st.builds(
    lambda state, size: state.randbytes(size), st.randoms(use_true_random=False), st.integers(0, 3000)
)
narrow = st.builds(  # matches that are short and far apart
    lambda state, size: bytes(byte & 7 for byte in state.randbytes(size)),
    st.randoms(use_true_random=False),
    st.integers(0, 30000),
)
contents = st.lists(st.one_of(words, runs, noise, narrow, st.binary()), min_size=1, max_size=5).map(b"".join)


@st.composite
def zlib_streams(draw: DrawFn) -> bytes:
    """Raw streams with all of zlib's settings, flushed now and then."""
    coder = zlib.compressobj(
        draw(st.integers(0, 9)),
        zlib.DEFLATED,
        -draw(st.integers(9, 15)),
        draw(st.integers(1, 9)),
        draw(st.sampled_from([0, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED])),
    )
    out = b""
    for content in draw(st.lists(contents, min_size=1, max_size=3)):
        out += coder.compress(content)
        out += coder.flush(draw(st.sampled_from([zlib.Z_NO_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH])))
    return out + coder.flush()


@st.composite
def foreign_streams(draw: DrawFn) -> bytes:
    """Streams whose compressor chose its matches, blocks and codes by lot."""
    content = draw(contents)
    tokens: list[Token] = []
    at = 0
    while at < len(content):
        match = None
        if at and draw(st.integers(0, 3)):
            distance = draw(st.integers(1, min(at, 1 << 15)))
            length = 0
            while length < 258 and at + length < len(content):
                if content[at + length] != content[at + length - distance]:
                    break
                length += 1
            match = (draw(st.integers(3, length)), distance) if length >= 3 else None
        tokens.append(match or (content[at], 0))
        at += match[0] if match else 1
    return deflated(tokens, draw(st.randoms(use_true_random=False)))


def analysed(stream: bytes, most: int = 1 << 24) -> tuple[int, bytes, bytes] | None:
    """How much of a stream is taken, what that inflates to, and the recipe."""
    analyser = _core.DeflateAnalyser(stream)
    if not analyser.find(0, len(stream), most, 15):
        return None
    while not analyser.advance():
        pass
    found = analyser.stream()
    return None if found is None else (*found, analyser.finish())


def rebuilt(recipe: bytes, inflated: bytes, most: int) -> bytes:
    rebuilder = _core.DeflateRebuilder(recipe)
    rebuilder.begin(inflated, most)
    while (stream := rebuilder.advance()) is None:
        pass
    return stream


def check(stream: bytes, found: tuple[int, bytes, bytes]) -> None:
    consumed, inflated, recipe = found
    assert zlib.decompressobj(-15).decompress(stream)[: len(inflated)] == inflated
    assert rebuilt(recipe, inflated, consumed) == stream[:consumed]
    with pytest.raises(ValueError, match="recipe"):
        rebuilt(recipe, inflated, consumed - 1)
    if len(inflated) < 20000:
        assert reference.Rebuilder(recipe).rebuild(inflated) == stream[:consumed]


@given(stream=zlib_streams())
def test_zlib_streams(stream: bytes) -> None:
    found = analysed(stream)
    if found is not None:
        assert found[0] == len(stream)
        check(stream, found)


@given(stream=foreign_streams())
def test_foreign_streams(stream: bytes) -> None:
    found = analysed(stream)
    if found is not None:
        assert found[0] == len(stream)
        check(stream, found)


@given(stream=st.one_of(zlib_streams(), foreign_streams()), share=st.floats(0, 1), most=st.integers(1, 90000))
def test_cut_streams(stream: bytes, share: float, most: int) -> None:
    part = stream[: int(len(stream) * share)]
    found = analysed(part, most)
    if found is not None:
        assert found[0] <= len(part)
        assert len(found[1]) <= most
        check(part, found)


@given(stream=st.one_of(zlib_streams(), foreign_streams()), bit=st.integers(0), rest=st.binary(max_size=99))
def test_damaged_streams(stream: bytes, bit: int, rest: bytes) -> None:
    damaged = bytearray(stream)
    damaged[bit // 8 % len(damaged)] ^= 1 << bit % 8
    found = analysed(bytes(damaged) + rest)
    if found is not None:
        consumed, inflated, recipe = found
        assert rebuilt(recipe, inflated, consumed) == (bytes(damaged) + rest)[:consumed]


@given(stream=zlib_streams(), recipe=st.binary(max_size=200), bit=st.integers(0))
def test_damaged_recipes(stream: bytes, recipe: bytes, bit: int) -> None:
    """Whatever a recipe says, both decoders understand the same, or refuse it."""
    inflated = zlib.decompress(stream, -15)[:3000]
    found = analysed(stream)
    recipes = [recipe]
    if found is not None and found[2]:
        damaged = bytearray(found[2])
        damaged[bit // 8 % len(damaged)] ^= 1 << bit % 8
        recipes.append(bytes(damaged))
    for one in recipes:
        try:
            expected = reference.Rebuilder(one).rebuild(inflated)
        except reference.DamagedError:
            expected = None
        try:
            assert rebuilt(one, inflated, 1 << 20) == expected
        except ValueError:
            # The core also refuses recipes that go on long after their end.
            pass
        else:
            assert expected is not None


@given(
    parts=st.lists(
        st.one_of(
            st.binary(max_size=300),
            zlib_streams(),
            contents.map(zlib.compress),
            st.sampled_from([b"PK\3\4", b"\x1f\x8b\x08\xff", b"\x78\x9c", b"\0\0\0\4IDAT"]),
        ),
        max_size=6,
    ),
    most=st.integers(0, 1 << 20),
)
def test_blocks(parts: list[bytes], most: int) -> None:
    raw = b"".join(parts)
    found = inflating.inflate(memoryview(raw), most, lambda: None)
    if found is not None:
        made, deflated_size = found
        assert deflated_size <= len(raw)
        assert len(made.content) <= most
        assert inflating.deflate(made, len(raw), lambda: None) == raw


def test_something_is_found() -> None:
    """The tests above are worth nothing if streams are only ever left alone."""
    content = b"".join(b"%d is what it was, %d\n" % (i * i % 97, i) for i in range(3000))
    stream = zlib.compress(content, 6)[2:-4]
    found = analysed(stream)
    assert found is not None
    assert (found[0], found[1]) == (len(stream), content)
    assert len(found[2]) < 40


def phrases(size: int) -> bytes:
    """Bytes with matches of every length, near and far, many of them in doubt between two."""
    state = random.Random(11)
    content = bytearray(state.randbytes(300).hex().encode())
    while len(content) < size:
        start = state.randrange(len(content))
        content += content[start : start + min(3 + int(state.expovariate(0.05)), 300)]
        content += b"%d" % state.randrange(30) if state.getrandbits(1) else b""
    return bytes(content[:size])


@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_RLE, zlib.Z_FIXED])
@pytest.mark.parametrize("level", range(1, 10))
def test_every_level_of_zlib_is_foreseen(level: int, strategy: int) -> None:
    content = phrases(18000)
    coder = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
    stream = coder.compress(content) + coder.flush()
    found = analysed(stream)
    assert found is not None
    consumed, inflated, recipe = found
    assert (consumed, inflated) == (len(stream), content)
    if zlib.ZLIB_RUNTIME_VERSION.count(".") < 3:  # zlib itself, not one of those that do it their own way
        assert len(recipe) < 40
    assert reference.Rebuilder(recipe).rebuild(content) == stream
