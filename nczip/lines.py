"""Wrapped text without the line ends that its width tells; text with CRLF without the CR.

Whoever wrapped it broke a line where the next word would have gone too far. Spaces in place of such line ends
make text that models know better, and the column that the next word would reach tells where they stood
(formats/lines.md, native/lines.hpp).
"""

from __future__ import annotations

from dataclasses import dataclass

from nczip.container import BytesSource, read_varint, varint
from nczip.errors import CorruptError, TruncatedError

LEAST_LINES = 64
MOST_COLUMNS = 300  # bytes a line, on average
WORTH = 1.25  # bits a line end, up to which the column tells them; models of prose take two to five
GAIN = 2.0  # bits a line end, by which the column tells more than the letters before it


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A block's text on its way to a model, and what brings its line ends back."""

    text: bytes
    carriage_returns: int  # that were taken out, one before each line end
    decisions: bytes  # which gaps between words are line ends; nothing where these were left in their places

    def join(self, packed: bytes) -> bytes:
        """The block's packed bytes, given those of the text."""
        return varint(self.carriage_returns) + varint(len(self.decisions)) + self.decisions + packed


def unwrap(raw: memoryview) -> Unwrapped | None:
    """A block without the line ends that can be told; None if that is not worth it."""
    from nczip import _core

    content = bytes(raw)
    lines = content.count(b"\n")
    if lines < max(LEAST_LINES, len(content) // MOST_COLUMNS):
        return None
    returns = lines if lines == content.count(b"\r\n") == content.count(b"\r") else 0
    content = content.replace(b"\r\n", b"\n") if returns else content
    text, decisions, ends, by_text = _core.unwrap_lines(content)
    column_tells = 8 * len(decisions) <= min(WORTH * ends, 8 * by_text - GAIN * ends)
    if ends >= LEAST_LINES and column_tells:
        return Unwrapped(text, returns, decisions or b"\0")  # the coder's zeros need not be there, but one
    return Unwrapped(content, returns, b"") if returns else None


def part(packed: bytes, raw_size: int) -> tuple[Unwrapped, bytes, int]:
    """What ``Unwrapped.join`` joined: all but the text, the text's packed bytes, and its size.

    ``raw_size``: bytes of the block. Raises CorruptError.
    """
    source = BytesSource(packed)
    try:
        returns = read_varint(source)
        decisions = source.take(read_varint(source))
    except TruncatedError:
        raise CorruptError("its line ends are cut off") from None
    if returns > raw_size // 2:
        raise CorruptError(f"it claims {returns} line ends in {raw_size} bytes")
    return Unwrapped(b"", returns, decisions), packed[source.offset :], raw_size - returns


def wrap(parts: Unwrapped, text: bytes) -> bytes:
    """The block again. Raises CorruptError where the line ends do not fit the text."""
    from nczip import _core

    if parts.decisions:
        try:
            text = _core.wrap_lines(text, parts.decisions)
        except ValueError as error:
            raise CorruptError(str(error)) from None
    if not parts.carriage_returns:
        return text
    if text.count(b"\n") != parts.carriage_returns:
        raise CorruptError("it has another number of line ends than it claims")
    return text.replace(b"\n", b"\r\n")
