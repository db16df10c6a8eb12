"""Passes of a language model over tokens of many blocks: their buffers, and the kernels in their order.

A stretch is tokens at consecutive positions of one block. Every pass has room for ``stretches`` of them with
``length`` tokens each; a stretch says which block it belongs to, so that few can go on in a small pass.
"""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nczip import _core
from nczip.device.launching import (
    Address,
    Array,
    Device,
    Launch,
    Memory,
    Program,
    integer,
    long,
    pointer,
    real,
)
from nczip.device.weights import Matrix, Weights, tiles

if TYPE_CHECKING:
    Arguments = tuple[ctypes._SimpleCData[Any], ...]

SINK_SLOTS, SINKS = 16, 4  # of a cache, as the core has them
VECTORS = 4  # of a tile of columns
FEW_VECTORS = 32  # up to so many the kernel for few is faster
LOGIT_ROWS = 1024  # whose logits are held at a time
SPELLED_ROWS = 4096  # the same at level 8, where a block's tokens come one after the other: many blocks help
SPELLING_THREADS = 128
DECODING = np.dtype(("V", 48))  # bytes of a block's state (struct Decoding)
ADMISSION = np.dtype(
    [("packed", "<u8"), ("packed_size", "<u4"), ("size", "<u4"), ("block", "<u4"), ("padding", "<u4")]
)
RAN_OUT = np.uint32(1 << 31)


def slots(window: int, length: int) -> int:
    """Slots of a cache for stretches of ``length``, a multiple of 32: no token that is seen gives way."""
    return -(-(SINK_SLOTS + window + length) // 32) * 32


@dataclass(frozen=True, slots=True)
class Spelled:
    """Level 8: tokens are spelled. ``table_bits`` as the archive says; blocks of ``size`` bytes at most."""

    table_bits: int
    size: int

    def memory(self, weights: Weights) -> int:
        """Bytes that a block's mixture takes, with its content."""
        mixture = _core.spelling_memory(self.size, self.table_bits)
        content = self.size + int(weights.lengths.max())
        return -(-(mixture + content) // 256) * 256

    def decisions(self, weights: Weights, length: int) -> int:
        """Room for those of ``length`` tokens: enough for any one, and for all as a rule."""
        return max(int(most_decisions(weights.lengths.max())), 64 * length)


def most_decisions(lengths: Any) -> Any:
    """That spelling tokens of so many bytes takes: eight a byte, and whether the token ends."""
    return 9 * lengths + 1


@dataclass(frozen=True, slots=True)
class Shape:
    """``blocks``: caches; ``room``: tokens that a stretch codes in one pass, or one run of a decoder's."""

    blocks: int
    length: int
    room: int
    window: int
    spelled: Spelled | None = None


class Caches:
    """Keys and values of every block, and what decoding knows of it."""

    def __init__(self, weights: Weights, shape: Shape, memory: Memory) -> None:
        self.shape = shape
        self.slots = slots(shape.window, shape.length)
        self.head_bytes = head_bytes(weights, self.slots)
        self.layer_bytes = shape.blocks * weights.kv_heads * self.head_bytes
        self.address = memory.piece(len(weights.layers) * self.layer_bytes)
        self.decoding = memory.piece(shape.blocks * DECODING.itemsize)
        if shape.spelled:
            self.spelling_bytes = shape.spelled.memory(weights)
            self.spellings = memory.piece(shape.blocks * self.spelling_bytes)
            self.biases = memory.piece(shape.blocks * weights.vocabulary * 4)


def head_bytes(weights: Weights, count: int) -> int:
    """Of one head's keys and values in a cache of ``count`` slots, with their scales."""
    return count * (tiles(weights.head_dim) * 32 + weights.head_dim + 8)


def block_bytes(weights: Weights, shape: Shape) -> int:
    """Device memory that a block takes: its cache, and its rows in every buffer."""
    cache = len(weights.layers) * weights.kv_heads * head_bytes(weights, slots(shape.window, shape.length))
    size = cache + shape.length * row_bytes(weights) + shape.room * 24 + DECODING.itemsize
    if shape.spelled:
        size += shape.spelled.memory(weights) + 4 * weights.vocabulary
        size += 8 * shape.spelled.decisions(weights, shape.length)
    return size


def row_bytes(weights: Weights) -> int:
    """Device memory that a row of a pass takes, beside its logits."""
    attended = weights.heads * weights.head_dim
    depth = 32 * max(tiles(size) for size in (weights.hidden, attended, weights.ffn))
    queries = weights.heads * (tiles(weights.head_dim) * 128 + 8)
    return 4 * (weights.hidden + wide(weights) + attended + 2) + 2 * depth + queries


def wide(weights: Weights) -> int:
    """The most that a matrix of a layer makes of one token."""
    return max((weights.heads + 2 * weights.kv_heads) * weights.head_dim, 2 * weights.ffn, weights.hidden)


def fixed_bytes(weights: Weights, shape: Shape) -> int:
    """Device memory that does not depend on the number of blocks: logits, what their tokens weigh."""
    logits = weights.head.rows * 16 * 4
    if shape.spelled:
        return SPELLED_ROWS * logits + SPELLED_ROWS // shape.length * (weights.vocabulary + 1) * 8
    return LOGIT_ROWS * logits


class Passes:
    """The buffers of passes over ``stretches`` blocks of ``caches``."""

    def __init__(self, weights: Weights, caches: Caches, stretches: int, memory: Memory) -> None:
        self.weights, self.caches = weights, caches
        self.device: Device = weights.device
        self.stretches, self.length, self.room = stretches, caches.shape.length, caches.shape.room
        self.rows = stretches * self.length
        w, piece = weights, memory.piece
        attended = w.heads * w.head_dim
        filled = -(-self.rows // VECTORS) * VECTORS
        depth = 32 * max(tiles(size) for size in (w.hidden, attended, w.ffn))
        # A part of the logits is of whole stretches, and begins with a tile of columns.
        self.spelled = caches.shape.spelled
        logit_rows = SPELLED_ROWS if self.spelled else LOGIT_ROWS
        self.part = min(stretches, max(VECTORS, logit_rows // self.length // VECTORS * VECTORS))
        self.token = memory.holding(np.zeros(self.rows, np.uint32))
        self.block = memory.holding(np.arange(stretches, dtype=np.uint32))
        self.first = memory.holding(np.zeros(stretches, np.uint32))
        self.count = memory.holding(np.zeros(stretches, np.uint32))
        self.residual = piece(self.rows * w.hidden * 4)
        self.wide = piece(self.rows * wide(w) * 4)
        self.attended = piece(self.rows * attended * 4)
        self.columns = piece(filled * depth * 2)
        self.scale = piece(filled * 4)
        self.queries = piece(self.rows * w.heads * tiles(w.head_dim) * 128)
        self.query_scale = piece(self.rows * w.heads * 8)
        self.logit_pitch = w.head.rows * 16
        self.logits = piece(self.part * self.length * self.logit_pitch * 4)
        self.ask = piece(stretches * self.room * 8)
        self.asks = memory.holding(np.zeros(stretches, np.uint32))
        self.intervals = self.room  # of a stretch
        if self.spelled:
            self.intervals = self.spelled.decisions(weights, self.length)
            self.sums = piece(self.part * (w.vocabulary + 1) * 8)
        self.made = piece(stretches * max(self.room, self.intervals) * 8)  # intervals, or tokens
        self.mades = memory.holding(np.zeros(stretches, np.uint32))

    def fewer(self, stretches: int) -> Passes:
        """Passes over the first ``stretches`` of these, in the same buffers."""
        some = copy.copy(self)
        some.stretches, some.rows = stretches, stretches * self.length
        some.part = min(self.part, stretches)
        return some

    def encoding(self) -> Program:
        """A pass that ends with the intervals of what is asked for."""
        return Program([*self._layers(), *self._head(self._spell if self.spelled else self._intervals)])

    def decoding(self) -> Program:
        """A pass that ends with the tokens that were decoded, and the next stretches begun."""
        return Program([*self._layers(), *self._head(self._read if self.spelled else self._decode)])

    def admit(self, admissions: Array, packed: Address) -> None:
        """Blocks begin to be coded; ``admissions``: of ADMISSION."""
        memory = Memory(self.device)
        try:
            begun = pointer(memory.holding(admissions))
            coders = (begun, integer(len(admissions)), pointer(packed), pointer(self.caches.decoding))
            grid = (-(-len(admissions) // 32), 1, 1)
            self.device.run(Program([Launch("admit", grid, 32, 0, coders, "coding")]))
            if self.spelled:
                mixtures: Arguments = (
                    begun,
                    pointer(self.weights.head.scale),
                    integer(self.weights.vocabulary),
                    integer(int(self.weights.lengths.max())),
                    integer(self.spelled.table_bits),
                    pointer(self.weights.knowledge),
                    *self._spellings(),
                )
                grid = (len(admissions), 1, 1)
                launch = Launch("begin_spelling", grid, SPELLING_THREADS, 0, mixtures, "coding")
                self.device.run(Program([launch]))
            self.device.wait()
        finally:
            memory.free()

    def _layers(self) -> Iterator[Launch]:
        w = self.weights
        embedding = w.embedding
        yield Launch(
            "embed",
            (self.rows, 1, 1),
            128,
            0,
            (
                pointer(embedding.weights),
                pointer(embedding.scale),
                real(w.embedding_scale),
                integer(w.hidden),
                integer(embedding.tiles),
                pointer(self.token),
                pointer(self.residual),
            ),
            "elementwise",
        )
        attended = w.heads * w.head_dim
        before, before_norm = 0, 0  # what is to be added to the residual
        for number, layer in enumerate(w.layers):
            yield self._columns(self.residual, before, before_norm, layer.attention_norm, w.hidden)
            yield self._product(layer.qkv, self.wide)
            yield from self._attention(number)
            yield self._columns(self.attended, 0, 0, 0, attended)
            yield self._product(layer.output, self.wide)
            yield self._columns(self.residual, self.wide, layer.post_attention_norm, layer.ffn_norm, w.hidden)
            yield self._product(layer.gate_up, self.wide)
            yield Launch(
                "gate_columns",
                (self.rows, 1, 1),
                256,
                4 * w.ffn,
                (
                    pointer(self.wide),
                    integer(w.ffn),
                    integer(w.gelu),
                    integer(tiles(w.ffn)),
                    pointer(self.columns),
                    pointer(self.scale),
                ),
                "elementwise",
            )
            yield self._product(layer.down, self.wide)
            before, before_norm = self.wide, layer.post_ffn_norm
        yield self._columns(self.residual, before, before_norm, w.final_norm, w.hidden)

    def _columns(self, x: Address, y: Address, y_gain: Address, gain: Address, size: int) -> Launch:
        arguments = (
            pointer(x),
            pointer(y),
            pointer(y_gain),
            pointer(gain),
            integer(size),
            real(self.weights.norm_eps),
            integer(tiles(size)),
            pointer(self.columns),
            pointer(self.scale),
        )
        shared = 4 * size * (2 if y_gain else 1)
        return Launch("make_columns", (self.rows, 1, 1), 128, shared, arguments, "elementwise")

    def _product(
        self, matrix: Matrix, out: Address, *, first: int = 0, rows: int | None = None, bits: bool = False
    ) -> Launch:
        """Rows from ``first`` on, a multiple of four, times a matrix."""
        vectors = self.rows if rows is None else rows
        arguments = (
            pointer(matrix.weights),
            pointer(matrix.scale),
            pointer(matrix.bias),
            integer(matrix.rows),
            integer(matrix.tiles),
            pointer(self.columns + first * matrix.tiles * 64),
            pointer(self.scale + first * 4),
            integer(bits),
            integer(vectors),
            pointer(out),
            integer(matrix.rows * 16),
        )
        many = vectors > FEW_VECTORS
        grid = (-(-matrix.rows // 8), -(-vectors // (128 if many else 8)), 1)
        kernel, threads = ("multiply_many", 256) if many else ("multiply_few", 128)
        return Launch(kernel, grid, threads, 0, arguments, "products")

    def _attention(self, number: int) -> Iterator[Launch]:
        w, caches, layer = self.weights, self.caches, self.weights.layers[number]
        window = caches.shape.window
        address = caches.address + number * caches.layer_bytes
        where = (pointer(self.block), pointer(self.first), pointer(self.count), pointer(address))
        sizes = (long(caches.head_bytes), integer(caches.slots))
        yield Launch(
            "place",
            (self.rows, 1, 1),
            128,
            0,
            (
                pointer(self.wide),
                integer(w.heads),
                integer(w.kv_heads),
                pointer(layer.rope),
                pointer(layer.q_norm),
                pointer(layer.k_norm),
                real(w.norm_eps),
                real(w.attention_scale),
                integer(self.length),
                *where,
                *sizes,
                integer(window),
                pointer(self.queries),
                pointer(self.query_scale),
            ),
            "elementwise",
        )
        queries = self.length * (w.heads // w.kv_heads)
        many = queries > VECTORS and w.head_dim <= 128
        many = many and self._attention_shared(16) <= self.device.most_shared()
        together = 16 if many else VECTORS
        yield Launch(
            "attend_many" if many else "attend_few",
            (-(-queries // together), w.kv_heads, self.stretches),
            256 if many else 128,
            self._attention_shared(together),
            (
                pointer(self.queries),
                pointer(self.query_scale),
                integer(w.heads),
                integer(w.kv_heads),
                integer(self.length),
                *where,
                *sizes,
                integer(min(layer.window or window, window - SINKS)),
                integer(layer.window != 0),
                pointer(self.attended),
            ),
            "attention",
        )

    def _attention_shared(self, queries: int) -> int:
        return 4 * queries * (self.caches.slots + 4 + self.weights.head_dim + 1)

    def _head(self, code: Callable[[int, int], Launch]) -> Iterator[Launch]:
        """Logits, a part of the stretches at a time, and what ``code`` (first, count) does with them."""
        for first in range(0, self.stretches, self.part):
            count = min(self.part, self.stretches - first)
            rows = {"first": first * self.length, "rows": count * self.length}
            yield self._product(self.weights.head, self.logits, bits=True, **rows)
            yield code(first, count)

    def _scores(self) -> Arguments:
        return (
            pointer(self.logits),
            integer(self.logit_pitch),
            pointer(self.weights.head.scale),
            integer(self.weights.vocabulary),
        )

    def _spellings(self) -> Arguments:
        caches = self.caches
        return pointer(caches.biases), pointer(caches.spellings), long(caches.spelling_bytes)

    def _intervals(self, first: int, count: int) -> Launch:
        arguments = (
            *self._scores(),
            integer(self.length),
            integer(self.room),
            pointer(self.ask + first * self.room * 8),
            pointer(self.asks + first * 4),
            pointer(self.made + first * self.room * 8),
        )
        return Launch("intervals", (self.room, count, 1), 256, 0, arguments, "coding")

    def _spell(self, first: int, count: int) -> Launch:
        arguments: Arguments = (
            pointer(self.logits),
            integer(self.logit_pitch),
            integer(self.weights.vocabulary),
            pointer(self.weights.strings),
            pointer(self.weights.begin),
            integer(self.length),
            integer(self.room),
            pointer(self.ask + first * self.room * 8),
            pointer(self.asks + first * 4),
            pointer(self.block + first * 4),
            *self._spellings(),
            pointer(self.sums),
            integer(self.intervals),
            pointer(self.made + first * self.intervals * 8),
            pointer(self.mades + first * 4),
        )
        return Launch("spell", (count, 1, 1), SPELLING_THREADS, 0, arguments, "coding")

    def _read(self, first: int, count: int) -> Launch:
        arguments: Arguments = (
            *self._scores(),
            pointer(self.weights.strings),
            *self._progress(first),
            *self._spellings(),
            pointer(self.sums),
            *self._tokens(first),
        )
        return Launch("read_spelling", (count, 1, 1), SPELLING_THREADS, 0, arguments, "coding")

    def _decode(self, first: int, count: int) -> Launch:
        arguments: Arguments = (*self._scores(), *self._progress(first), *self._tokens(first))
        return Launch("decode", (count, 1, 1), 512, 0, arguments, "coding")

    def _progress(self, first: int) -> Arguments:
        return (
            pointer(self.weights.begin),
            integer(self.length),
            pointer(self.block + first * 4),
            pointer(self.first + first * 4),
            pointer(self.count + first * 4),
            pointer(self.token + first * self.length * 4),
            integer(self.room),
            pointer(self.caches.decoding),
        )

    def _tokens(self, first: int) -> Arguments:
        return pointer(self.made + first * self.room * 4), pointer(self.mades + first * 4)
