"""One block through the mixture and a range coder, in both directions.

Encoder and decoder are one sequence of questions. An encoder answers them from the content and codes the
answers; a decoder reads the answers. The first is whether the block is x86 code; if so, the others are about
code with absolute targets. Where the longest match has lasted long, a question is about a whole run: are the
next bytes what the match expects?
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Protocol

from nczip.reference.counters import ONE, Counter
from nczip.reference.mixture import Mixture
from nczip.reference.range_coder import RangeEncoder
from nczip.reference.targets import make_absolute, pay, restore

SURE_LENGTH = 400  # bytes that a match must have lasted
SHORTEST, LONGEST = 6, 16  # log2 of the bytes of a run
RUN_LIMIT = 255  # of the counters of runs
CODE = 1 << 16  # probability that a block is x86 code, in 2^-24
LEAST_RUN = 256  # least probability of either answer about a run, in 2^-24


class BitDecoder(Protocol):
    """Decodes a decision, given the probability of 1 in units of 2^-24; 1 owns the interval's lower part."""

    def decode_bit(self, p1: int) -> bool | int: ...


@dataclass(frozen=True)
class Question:
    """Is the next bit of byte ``position`` a 1? Or, with ``run``: are these the bytes from ``position``?

    Or, with ``is_code``: is it x86 code?
    """

    p1: int  # probability of yes in units of 2^-24
    position: int
    bit_index: int = 0  # bits of the byte that are known
    run: bytes = b""
    is_code: bool = False

    def answer(self, coded: bytes, is_code: bool) -> bool:
        """``coded``: the content, with absolute targets if it is code."""
        if self.is_code:
            return is_code
        if self.run:
            return coded.startswith(self.run, self.position)
        return bool(coded[self.position] >> 7 - self.bit_index & 1)


@dataclass
class Runs:
    """When and how far to ask for a run."""

    yes: list[Counter] = field(
        default_factory=lambda: [Counter((ONE - 1) // 10 * 9, 3) for _ in range(LONGEST + 1)]
    )
    log2: int = SHORTEST
    blocked: bool = False  # since a run of the shortest length failed in this match

    def lost(self) -> None:
        """No match has lasted long enough."""
        self.log2, self.blocked = SHORTEST, False

    def p1(self) -> int:
        return min(max(self.yes[self.log2].p * 4, LEAST_RUN), 2**24 - LEAST_RUN)

    def learn(self, yes: bool) -> None:
        self.yes[self.log2].update(yes, RUN_LIMIT)
        if yes:
            self.log2 = min(self.log2 + 1, LONGEST)
        elif self.log2 == SHORTEST:
            self.blocked = True
        else:
            self.log2 = max(self.log2 - 2, SHORTEST)


def questions(
    level: int, table_bits: int, raw_size: int, base: bytes | None, read: int | None
) -> Generator[Question, bool, bytes]:
    """Asks about a block until all of it is known; returns its content."""
    mixture, runs = Mixture(level, table_bits, raw_size, base, read), Runs()
    history = mixture.past.history
    start = len(history)
    is_code = yield Question(CODE, 0, is_code=True)
    while len(history) < start + raw_size:
        longest = mixture.matches[0]
        if longest.length < SURE_LENGTH:
            runs.lost()
        elif not runs.blocked:
            count = min(1 << runs.log2, start + raw_size - len(history))
            run = repeated(history, longest.pointer, count)
            yes = yield Question(runs.p1(), len(history) - start, run=run)
            runs.learn(yes)
            if yes:
                mixture.skip(run)
            continue
        for bit_index in range(8):
            bit = yield Question(mixture.predict(), len(history) - start, bit_index)
            mixture.update(int(bit))
    content = bytes(history[start:])
    return restore(content) if is_code else content


def repeated(history: bytearray, pointer: int, count: int) -> bytes:
    """``count`` bytes from ``pointer``; past the end go on those just copied."""
    period = history[pointer:]
    return bytes(period * (count // len(period) + 1))[:count]


def encode_block(
    level: int, table_bits: int, content: bytes, base: bytes | None = None, read: int | None = None
) -> bytes:
    """The packed bytes of a block; one that follows a base does not count as code.

    ``read``, for tests: how many bytes of the base are read.
    """
    coder = RangeEncoder()
    is_code = base is None and pay(content)
    coded = make_absolute(content) if is_code else content
    asked = questions(level, table_bits, len(content), base, read)
    try:
        question = next(asked)
        while True:
            yes = question.answer(coded, is_code)
            coder.encode_bit(int(yes), question.p1)
            question = asked.send(yes)
    except StopIteration:
        return coder.finish()


def decode_block(
    level: int,
    table_bits: int,
    raw_size: int,
    coder: BitDecoder,
    base: bytes | None = None,
    read: int | None = None,
) -> bytes:
    """The content of a block of ``raw_size`` bytes. ``coder`` reads the packed bytes."""
    asked = questions(level, table_bits, raw_size, base, read)
    try:
        question = next(asked)
        while True:
            question = asked.send(bool(coder.decode_bit(question.p1)))
    except StopIteration as end:
        content: bytes = end.value
        return content
