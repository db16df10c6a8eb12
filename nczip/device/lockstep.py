"""Many blocks through the model side by side: which are in flight, how far each is, and when the next begins.

A block goes into a free cache as soon as there is one, and out of it when its last token is known, so that
blocks of any length keep a device busy. The next block is asked for only then: what comes in waits with
whoever makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import numpy as np

from nczip import _core
from nczip.device.launching import Address, Array, DeviceMemoryError, Memory, Program
from nczip.device.passes import (
    ADMISSION,
    RAN_OUT,
    Caches,
    Passes,
    Shape,
    Spelled,
    block_bytes,
    fixed_bytes,
    most_decisions,
)
from nczip.device.weights import Weights
from nczip.errors import CorruptError

ENCODED_ROWS = 4096  # of a pass that encodes: enough to keep all of a large GPU busy
ENCODED_LENGTH = 32  # tokens of a block in it;
SPELLED_LENGTH = 16  # at level 8, which spells them one after the other while other blocks do the same
DECODED_BLOCKS = 4096  # at most: their steps wait for the memory that holds their caches
PASSES = 32  # between two looks at what was decoded
MEMORY_SHARE = 0.9  # of what is free; what encodes and what checks it share that
LEAST_STRETCHES = 32  # of a pass: fewer are hardly faster

RAN_OUT_SENTENCE = "the packed bytes end before the content"  # as the core says it
OVERRAN_SENTENCE = "the packed bytes end inside a token"


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Feed(Protocol[T_co]):
    """Where blocks come from."""

    def take(self, idle: bool) -> T_co | None:
        """The next one. None if there is none at the moment; where nothing else is to be done (``idle``) it
        waits for one, and None is the end."""


class Fixed(Feed[T]):
    """What there is from the beginning."""

    def __init__(self, blocks: Iterable[T]) -> None:
        self._blocks = iter(blocks)

    def take(self, idle: bool) -> T | None:
        return next(self._blocks, None)


def _free(flying: Sequence[object], feed: Feed[T]) -> Iterator[tuple[int, T]]:
    """Stretches that hold nothing, and what each is to hold next, as long as there is something."""
    idle = not any(flying)
    for stretch, held in enumerate(flying):
        if held is None:
            following = feed.take(idle)
            if following is None:
                return
            idle = False
            yield stretch, following


@dataclass(slots=True)
class _Encoding:
    """A block on its way in. ``rows`` [n]: at which position each of its ``tokens`` is foretold.

    ``size``: bytes; ``decisions`` [n + 1]: how many intervals come before each token at most.
    """

    number: int
    tokens: Array
    inputs: Array
    rows: Array
    size: int
    decisions: Array
    coded: int = 0
    intervals: list[Array] = field(default_factory=list)


@dataclass(slots=True)
class _Decoding:
    """A block on its way out; ``guesses`` are the inputs that are expected, if any are."""

    number: int
    size: int
    tokens: list[Array] = field(default_factory=list)


class Lockstep:
    """Caches for as many blocks as ``blocks`` or the memory allow, and passes over all of them.

    ``length``: tokens of a block in one pass; ``room``: tokens that are coded until somebody looks;
    ``packed``: bytes that a block to be decoded has at most; ``spelled``: for level 8.
    """

    least_stretches = LEAST_STRETCHES

    def __init__(
        self,
        weights: Weights,
        window: int,
        blocks: int,
        *,
        length: int,
        room: int,
        packed: int = 0,
        spelled: Spelled | None = None,
        share: float = MEMORY_SHARE,
    ) -> None:
        self.weights = weights
        self.device = weights.device
        self.length, self.room, self.most_packed, self.spelled = length, room, packed, spelled
        self._made: dict[int, Program] = {}  # by how many stretches they pass over
        one = Shape(1, length, room, window, spelled)
        free = int(self.device.free_memory() * share) - fixed_bytes(weights, one)
        self.blocks = min(blocks, max(1, free // (block_bytes(weights, one) + packed)))
        while True:
            try:
                self._allocate(replace(one, blocks=self.blocks))
                return
            except DeviceMemoryError:  # others take memory too, and it comes in pieces
                if self.blocks == 1:
                    raise
                self.blocks //= 2

    def _allocate(self, shape: Shape) -> None:
        self.memory = Memory(self.device)
        try:
            self.packed = self.memory.piece(shape.blocks * self.most_packed)
            self.caches = Caches(self.weights, shape, self.memory)
            self.passes = Passes(self.weights, self.caches, shape.blocks, self.memory)
        except BaseException:
            self.memory.free()
            raise

    def begin(self, block: int, packed: bytes, size: int) -> tuple[int, int, int, int, int]:
        """The packed bytes of a block go to their place; returns what admits it."""
        if len(packed) > self.most_packed:
            raise ValueError("packed bytes beyond what was said to be the most")
        at = block * self.most_packed
        self.device.upload(self.packed + at, np.frombuffer(packed, np.uint8))
        return at, len(packed), size, block, 0

    def _size(self, stretches: int) -> int:
        """Of the sizes of passes the least that has room for so many."""
        size = self.blocks
        while size // 2 >= max(stretches, self.least_stretches):
            size //= 2
        return size

    def _programs(self, of: Callable[[Passes], Program]) -> Callable[[int], Program]:
        """Passes over the first so many stretches, or a few more."""

        def program(stretches: int) -> Program:
            size = self._size(stretches)
            if size not in self._made:
                self._made[size] = of(self.passes.fewer(size))
            return self._made[size]

        return program

    def admit(self, begun: Sequence[tuple[int, int, int, int, int]]) -> None:
        """Blocks whose packed bytes are in their place begin."""
        self.passes.admit(np.array(begun, ADMISSION), self.packed)

    def _inputs(self, tokens: Array) -> Array:
        """What the model hears of a block: its beginning, and the tokens that it knows."""
        heard = tokens[~self.weights.silent[tokens]]
        return np.concatenate([[self.weights.vocabulary], heard]).astype(np.uint32)

    def _upload(self, *data: tuple[Address, Array]) -> None:
        for address, values in data:
            self.device.upload(address, values)

    def _download(self, *data: tuple[Address, Array]) -> None:
        for address, values in data:
            self.device.download(address, values)

    def close(self) -> None:
        for program in self._made.values():
            self.device.forget(program)
        self.memory.free()

    def __enter__(self) -> Lockstep:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def encoder(
    weights: Weights, window: int, blocks: int, length: int | None = None, spelled: Spelled | None = None
) -> Encoder:
    """For up to so many blocks: as many side by side as a pass has rows for."""
    length = length or (SPELLED_LENGTH if spelled else ENCODED_LENGTH)
    count = max(1, min(blocks, ENCODED_ROWS // length))
    share = MEMORY_SHARE / 2
    return Encoder(weights, window, count, length=length, room=2 * length, spelled=spelled, share=share)


class Encoder(Lockstep):
    """Blocks of tokens to packed bytes."""

    def encode(self, feed: Feed[Array]) -> Iterator[tuple[int, bytes]]:
        """Packed bytes of blocks, each given as its tokens (uint32), as they get done, with its number."""
        programs = self._programs(Passes.encoding)
        flying: list[_Encoding | None] = [None] * self.blocks
        pending: list[tuple[_Encoding, int, int]] = []  # what the last pass was asked: block, stretch, count
        self._taken = 0
        while True:
            # While that pass is under way.
            ready = self._admit(feed, flying, idle=not pending)
            asked = self._plan(flying)
            results = np.empty((self.blocks, self.passes.intervals, 2), np.uint32)
            counts = np.empty(self.blocks, np.uint32)
            if pending:
                self._download((self.passes.made, results), (self.passes.mades, counts))
            if asked:
                self._upload(*self._planned)
                self.device.run(programs(asked[-1][1] + 1))
            going_on = {block.number for block, _, _ in asked}
            for block, stretch, count in pending:
                made = int(counts[stretch]) if self.spelled else count
                block.intervals.append(results[stretch, :made].copy())
                if block.number not in going_on:
                    ready.append((block.number, _core.pack_intervals(np.concatenate(block.intervals).data)))
            pending = asked
            yield from ready
            if not pending and not ready:
                return

    def _admit(
        self, feed: Feed[Array], flying: list[_Encoding | None], *, idle: bool
    ) -> list[tuple[int, bytes]]:
        """Fills free caches; returns what was empty."""
        empty: list[tuple[int, bytes]] = []
        begun: list[tuple[int, int, int, int, int]] = []
        for place, block in enumerate(flying):
            if block is not None and block.coded < len(block.tokens):
                idle = False
                continue
            flying[place] = None
        for place, block in enumerate(flying):
            while block is None and (tokens := feed.take(idle and not empty)) is not None:
                self._taken += 1
                if not len(tokens):
                    empty.append((self._taken - 1, b""))
                    continue
                flying[place] = block = self._begin(self._taken - 1, np.asarray(tokens, np.uint32))
                begun.append((0, 0, block.size, place, 0))
                idle = False
            if block is None:
                break
        if begun and self.spelled:
            self.admit(begun)
        return empty

    def _begin(self, number: int, tokens: Array) -> _Encoding:
        heard = ~self.weights.silent[tokens]
        lengths = self.weights.lengths[tokens]
        each = most_decisions(lengths) if self.spelled else np.ones_like(lengths)
        decisions = np.concatenate([[0], np.cumsum(each)])
        rows = np.cumsum(heard) - heard
        return _Encoding(number, tokens, self._inputs(tokens), rows, int(lengths.sum()), decisions)

    def _plan(self, flying: Sequence[_Encoding | None]) -> list[tuple[_Encoding, int, int]]:
        """What the next pass is asked: of each block the next tokens, as far as rows and room go."""
        token = np.zeros((self.blocks, self.length), np.uint32)
        first_of, counts, asks = (np.zeros(self.blocks, np.uint32) for _ in range(3))
        ask = np.zeros((self.blocks, self.room, 2), np.uint32)
        asked = []
        for stretch, block in enumerate(flying):
            if block is None:
                continue
            begin, first = block.coded, int(block.rows[block.coded])
            fits = int(
                np.searchsorted(block.decisions, block.decisions[begin] + self.passes.intervals, "right")
            )
            end = min(begin + self.room, int(np.searchsorted(block.rows, first + self.length)), fits - 1)
            count = int(block.rows[end - 1]) - first + 1
            token[stretch, :count] = block.inputs[first : first + count]
            first_of[stretch], counts[stretch], asks[stretch] = first, count, end - begin
            ask[stretch, : end - begin, 0] = block.rows[begin:end] - first
            ask[stretch, : end - begin, 1] = block.tokens[begin:end]
            block.coded = end
            asked.append((block, stretch, end - begin))
        at = self.passes
        self._planned = (
            (at.token, token),
            (at.first, first_of),
            (at.count, counts),
            (at.ask, ask),
            (at.asks, asks),
        )
        return asked


def decoder(
    weights: Weights, window: int, blocks: int, most_packed: int, spelled: Spelled | None = None
) -> Decoder:
    """For up to so many blocks, of ``most_packed`` bytes at most: as many side by side as memory allows."""
    count = max(1, min(blocks, DECODED_BLOCKS))
    return Decoder(weights, window, count, length=1, room=2 * PASSES, packed=most_packed, spelled=spelled)


class Decoder(Lockstep):
    """Packed bytes to content."""

    def decode(self, feed: Feed[tuple[int, bytes]]) -> Iterator[tuple[int, bytes | CorruptError]]:
        """The contents of blocks, each given as its raw size and packed bytes, as they get done.

        With its number. A damaged block gives other bytes, or CorruptError.
        """
        passes, device = self.passes, self.device
        programs = self._programs(Passes.decoding)
        flying: list[_Decoding | None] = [None] * self.blocks  # by stretch
        block = np.arange(self.blocks, dtype=np.uint32)
        first, count, token = (np.zeros(self.blocks, np.uint32) for _ in range(3))
        made, mades = np.empty((self.blocks, self.room), np.uint32), np.empty(self.blocks, np.uint32)
        taken = 0
        while True:
            admitted: list[tuple[int, int, int, int, int]] = []
            for stretch, (raw_size, data) in _free(flying, feed):
                flying[stretch] = _Decoding(taken, raw_size)
                taken += 1
                admitted.append(self.begin(int(block[stretch]), data, raw_size))
                first[stretch], count[stretch], token[stretch] = 0, raw_size > 0, self.weights.vocabulary
            if admitted:
                self.admit(admitted)
            active = [stretch for stretch in range(self.blocks) if flying[stretch] is not None]
            if not active:
                return
            size = self._size(len(active))  # stretches of these passes
            if active[-1] >= size:  # few are left: they move together
                rest = np.setdiff1d(np.arange(self.blocks), active)
                order = np.concatenate([np.array(active, np.int64), rest])
                block, first, count, token = (of_each[order] for of_each in (block, first, count, token))
                flying = [flying[stretch] for stretch in order]
            self._upload(
                (passes.block, block),
                (passes.first, first),
                (passes.count, count),
                (passes.token, token),
                (passes.mades, np.zeros(self.blocks, np.uint32)),
            )
            program = programs(size)
            for _ in range(PASSES):
                device.run(program)
            self._download(
                (passes.mades, mades),
                (passes.made, made),
                (passes.first, first),
                (passes.count, count),
                (passes.token, token),
            )
            for stretch, one in enumerate(flying):
                if one is None:
                    continue
                one.tokens.append(made[stretch, : mades[stretch] & ~RAN_OUT].copy())
                if count[stretch] == 0:
                    flying[stretch] = None
                    yield one.number, self._content(one, bool(mades[stretch] & RAN_OUT))

    def _content(self, block: _Decoding, ran_out: bool) -> bytes | CorruptError:
        content = self.weights.spell(np.concatenate(block.tokens))
        if ran_out:
            return CorruptError(RAN_OUT_SENTENCE)
        return content if len(content) == block.size else CorruptError(OVERRAN_SENTENCE)


def checker(
    weights: Weights,
    window: int,
    blocks: int,
    most_packed: int,
    length: int | None = None,
    spelled: Spelled | None = None,
) -> Checker:
    """For up to so many blocks. Its passes are of another shape than those that encoded."""
    length = length or max(1, (SPELLED_LENGTH if spelled else ENCODED_LENGTH) // 2)
    count = max(1, min(blocks, ENCODED_ROWS // length))
    return Checker(
        weights,
        window,
        count,
        length=length,
        room=2 * length,
        packed=most_packed,
        spelled=spelled,
        share=MEMORY_SHARE / 2,
    )


class Checker(Lockstep):
    """Decodes what is known already: each token is decoded as ever, but all are guessed and pass together."""

    def check(self, feed: Feed[tuple[Array, bytes, int]]) -> Iterator[tuple[int, bool]]:
        """Whether packed bytes give back their tokens, for blocks of (tokens, packed bytes, raw size)."""
        passes, device = self.passes, self.device
        programs = self._programs(Passes.decoding)
        flying: list[_Checking | None] = [None] * self.blocks
        made, mades = np.empty((self.blocks, self.room), np.uint32), np.empty(self.blocks, np.uint32)
        taken = 0
        while True:
            admitted: list[tuple[int, int, int, int, int]] = []
            for stretch, (given, data, size) in _free(flying, feed):
                tokens = np.asarray(given, np.uint32)
                flying[stretch] = _Checking(taken, tokens, self._inputs(tokens))
                taken += 1
                admitted.append(self.begin(stretch, data, size))
            if admitted:
                self.admit(admitted)
            if not any(flying):
                return
            token = np.zeros((self.blocks, self.length), np.uint32)
            first, count = np.zeros(self.blocks, np.uint32), np.zeros(self.blocks, np.uint32)
            for stretch, block in enumerate(flying):
                if block is not None and len(block.tokens):
                    some = block.inputs[block.at : block.at + self.length]
                    token[stretch, : len(some)] = some
                    first[stretch], count[stretch] = block.at, len(some)
            self._upload(
                (passes.token, token),
                (passes.first, first),
                (passes.count, count),
                (passes.mades, np.zeros(self.blocks, np.uint32)),
            )
            device.run(programs(max(stretch for stretch, block in enumerate(flying) if block) + 1))
            self._download(
                (passes.made, made), (passes.mades, mades), (passes.first, first), (passes.count, count)
            )
            for stretch, block in enumerate(flying):
                if block is None:
                    continue
                some = made[stretch, : mades[stretch] & ~RAN_OUT]
                right = not mades[stretch] & RAN_OUT and np.array_equal(
                    some, block.tokens[block.known : block.known + len(some)]
                )
                block.known += len(some)
                block.at = int(first[stretch])
                if not right or count[stretch] == 0:
                    flying[stretch] = None
                    yield block.number, bool(right and block.known == len(block.tokens))


@dataclass(slots=True)
class _Checking:
    """A block whose tokens are known; ``known`` of them are decoded again, ``at`` is the next position."""

    number: int
    tokens: Array
    inputs: Array
    known: int = 0
    at: int = 0
