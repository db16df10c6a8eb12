"""Which gaps between words of wrapped text are line ends, slow and obvious: nczip/native/lines.hpp."""

from __future__ import annotations

from collections.abc import Callable

from nczip.reference.range_coder import TOTAL, RangeDecoder, RangeEncoder

REACHES = 256  # columns that are told apart
TEXTS = 4096  # ends of words that are
LEAST = TOTAL >> 14  # no decision is surer than that
MOST_SEEN = 250  # decisions that a rate of learning goes down with
GAPS = b" \n"


class WrapModel:
    """How likely a line ends in a gap, by the column that the next word would reach, or the text before."""

    def __init__(self, contexts: int) -> None:
        self.chance = [TOTAL // 64] * contexts
        self.seen = [0] * contexts

    def learn(self, context: int, ended: bool) -> None:
        # Division towards zero, as in C.
        distance = (TOTAL if ended else 0) - self.chance[context]
        step = abs(distance) // (self.seen[context] + 2) * (1 if distance > 0 else -1)
        self.chance[context] = min(max(self.chance[context] + step, LEAST), TOTAL - LEAST)
        self.seen[context] = min(self.seen[context] + 1, MOST_SEEN)


def _characters(text: bytes | bytearray) -> int:
    """Bytes that begin a character of UTF-8, if that is what it is."""
    return sum(byte & 0xC0 != 0x80 for byte in text)


def _walk(text: bytearray, decide: Callable[[int, int], bool]) -> None:
    """Asks for each single gap between words whether it is a line end: its place, the next word's reach."""
    column = 0
    for at in range(len(text)):
        around = text[at - 1 : at] + text[at + 1 : at + 2]
        ended = text[at : at + 1] == b"\n"
        if text[at] in GAPS and at and len(around) == 2 and not set(around) & set(GAPS):
            end = at + 1
            while end < len(text) and text[end] not in GAPS:
                end += 1
            ended = decide(at, min(column + 1 + _characters(text[at + 1 : end]), REACHES - 1))
        column = 0 if ended else column + _characters(text[at : at + 1])


def unwrap_lines(text: bytes) -> tuple[bytes, bytes, int, int]:
    """Text with spaces for its single line ends, the packed decisions which these are, and how many.

    Then the bytes that the decisions would take if the last three letters before a gap told them.
    """
    out, model, coder = bytearray(text), WrapModel(REACHES), RangeEncoder()
    other, aside = WrapModel(TEXTS), RangeEncoder()

    def decide(at: int, reach: int) -> bool:
        ended = text[at : at + 1] == b"\n"
        coder.encode_bit(ended, model.chance[reach])
        model.learn(reach, ended)
        before = 0
        for byte in text[max(0, at - 3) : at]:
            before = (before * 33 + byte) % TEXTS
        aside.encode_bit(ended, other.chance[before])
        other.learn(before, ended)
        if ended:
            out[at : at + 1] = b" "
        return ended

    _walk(bytearray(text), decide)
    ends = sum(a != b for a, b in zip(text, out, strict=True))
    return bytes(out), coder.finish(), ends, len(aside.finish())


def wrap_lines(text: bytes, decisions: bytes) -> bytes:
    """Back."""
    out, model, coder = bytearray(text), WrapModel(REACHES), RangeDecoder(decisions)

    def decide(at: int, reach: int) -> bool:
        ended = bool(coder.decode_bit(model.chance[reach]))
        model.learn(reach, ended)
        if ended:
            out[at : at + 1] = b"\n"
        return ended

    _walk(out, decide)
    return bytes(out)
