"""Wrapped text, its line ends, and back."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nczip import CorruptError, _core, lines
from nczip.reference import lines as reference

WORDS = [f"{'w' * (i * i % 11 + 1)}{i % 7}" for i in range(2000)]
WRAPPED = textwrap.fill(" ".join(WORDS), 72).encode() + b"\n"
RAGGED = b"\n".join(word.encode() for word in WORDS)
GAPPY = st.lists(st.sampled_from([b"a", b"bcd", "é東".encode(), b" ", b"\n", b"\r", b"\xff", b"word"])).map(
    b"".join
)


@given(GAPPY | st.binary())
def test_the_core_is_the_reference(text: bytes) -> None:
    unwrapped = _core.unwrap_lines(text)
    assert unwrapped == reference.unwrap_lines(text)
    without, decisions, ends, _ = unwrapped
    assert without.count(b"\n") + ends == text.count(b"\n")
    assert _core.wrap_lines(without, decisions) == reference.wrap_lines(without, decisions) == text


@given(st.binary(max_size=300), st.binary(max_size=20))
def test_any_decisions_on_any_text(text: bytes, decisions: bytes) -> None:
    try:
        wrapped = _core.wrap_lines(text, decisions)
    except ValueError:
        return
    assert len(wrapped) == len(text)
    assert wrapped == reference.wrap_lines(text, decisions)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_wrapped_text_is_told_by_its_column(end: bytes) -> None:
    text = WRAPPED.replace(b"\n", end)
    unwrapped = lines.unwrap(memoryview(text))
    assert unwrapped is not None
    assert unwrapped.text.count(b"\n") == 1
    assert len(unwrapped.decisions) < 40
    assert unwrapped.carriage_returns == (WRAPPED.count(b"\n") if end == b"\r\n" else 0)
    packed = unwrapped.join(b"packed")
    parts, rest, size = lines.part(packed, len(text))
    assert (rest, size) == (b"packed", len(unwrapped.text))
    assert lines.wrap(parts, unwrapped.text) == text


def test_text_that_was_not_wrapped_keeps_its_lines() -> None:
    ragged = b"".join(b"%d %s\n" % (i * i * 7919 % 10007, b"x" * (i * i % 31)) for i in range(900))
    assert lines.unwrap(memoryview(ragged)) is None
    unwrapped = lines.unwrap(memoryview(ragged.replace(b"\n", b"\r\n")))
    assert unwrapped == lines.Unwrapped(ragged, 900, b"")
    assert lines.wrap(unwrapped, ragged) == ragged.replace(b"\n", b"\r\n")
    assert lines.unwrap(memoryview(WRAPPED[:2000])) is None
    assert lines.unwrap(memoryview(bytes(1 << 16))) is None


def test_decisions_that_pack_to_nothing() -> None:
    """A line end at every gap is the number 0 to the coder."""
    text = b"a\n" * 300 + b"a"
    assert _core.unwrap_lines(text)[1] == b""
    unwrapped = lines.Unwrapped(_core.unwrap_lines(text)[0], 0, b"\0")
    parts, _, _ = lines.part(unwrapped.join(b""), len(text))
    assert lines.wrap(parts, unwrapped.text) == text
    # As a block it keeps its lines, since every word before one says as much.
    assert lines.unwrap(memoryview(text)) is None


def test_lists_keep_their_lines() -> None:
    """The column tells as well where lines of one length end with the same word, but so do the words."""
    text = b"".join(b"item %04d is worth %04d euros\n" % (i, i * i % 9000 + 1000) for i in range(900))
    assert 8 * len(_core.unwrap_lines(text)[1]) < 900
    assert lines.unwrap(memoryview(text)) is None


def test_mixed_line_ends_stay() -> None:
    text = WRAPPED.replace(b"\n", b"\r\n", 50)
    unwrapped = lines.unwrap(memoryview(text))
    assert unwrapped is None or unwrapped.carriage_returns == 0


@pytest.mark.parametrize(
    ("packed", "what"),
    [
        (b"", "cut off"),
        (b"\x00\x05abc", "cut off"),
        (b"\x00" + b"\xff" * 8 + b"\x01", "cut off"),
        (b"\xff\x7f\x00", "claims"),
    ],
)
def test_damaged(packed: bytes, what: str) -> None:
    with pytest.raises(CorruptError, match=what):
        lines.part(packed, 1000)


def test_line_ends_that_do_not_fit() -> None:
    with pytest.raises(CorruptError, match="number"):
        lines.wrap(lines.Unwrapped(b"", 3, b""), b"one\ntwo\n")
    with pytest.raises(CorruptError, match="fit"):
        lines.wrap(lines.Unwrapped(b"", 0, b"\x80"), b"one\ntwo")
