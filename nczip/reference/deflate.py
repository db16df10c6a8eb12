"""Deflate streams rebuilt from what they inflate to and a recipe: formats/inflated.md, as it says it.

The other direction, making recipes, needs no twin: whatever a recipe says, this is what it means.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from nczip.reference.counters import Counter
from nczip.reference.range_coder import RangeDecoder

SLOW, QUICK = 1023, 255  # bits after which a counter's average turns exponential
MOST_TOKENS = 1 << 20  # of a block
MOST_HOPS = 1024
TOO_FAR = 4096
MARGIN = 262
LAZY, GREEDY, RUNS, NONE = range(4)
STORED, FIXED, DYNAMIC = range(3)
END_OF_BLOCK = 256

# Of the levels 1 to 9: good, lazy, nice, chain.
EFFORTS = [
    (4, 4, 8, 4),
    (4, 5, 16, 8),
    (4, 6, 32, 32),
    (4, 4, 16, 16),
    (8, 16, 32, 32),
    (8, 16, 128, 128),
    (8, 32, 128, 256),
    (32, 128, 258, 1024),
    (32, 258, 258, 4096),
]

LENGTH_EXTRA = [0] * 8 + [n for n in range(1, 6) for _ in range(4)]
LENGTH_FIRST = [3 + sum(1 << n for n in LENGTH_EXTRA[:i]) for i in range(28)] + [258]
LENGTH_EXTRA.append(0)
DISTANCE_EXTRA = [0, 0] + [n for n in range(14) for _ in range(2)]
DISTANCE_FIRST = [1 + sum(1 << n for n in DISTANCE_EXTRA[:i]) for i in range(30)]
LENGTH_CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
FIXED_LENGTHS = [8] * 144 + [9] * 112 + [7] * 24 + [8] * 8


class DamagedError(ValueError):
    """No recipe says this."""


def length_symbol(length: int) -> int:
    return 28 if length == 258 else max(i for i in range(28) if LENGTH_FIRST[i] <= length)


def distance_symbol(distance: int) -> int:
    return max(i for i in range(30) if DISTANCE_FIRST[i] <= distance)


class Decisions:
    """Decisions by name and context: every (name, context) has a counter of its own."""

    def __init__(self, recipe: bytes) -> None:
        self.coder = RangeDecoder(recipe)
        self.counters: dict[tuple[object, ...], Counter] = {}

    def bit(self, *name: object, limit: int = SLOW) -> int:
        counter = self.counters.setdefault(name, Counter())
        bit = int(self.coder.decode_bit(counter.p << 2 | 2))
        counter.update(bit, limit)
        return bit

    def even(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = value << 1 | int(self.coder.decode_bit(1 << 23))
        return value

    def symbol(self, bits: int, *name: object) -> int:
        node = 1
        for _ in range(bits):
            node = node << 1 | self.bit(*name, node, limit=QUICK)
        return node - (1 << bits)

    def number(self, *name: object) -> int:
        bits = self.symbol(5, *name)
        return bits if bits < 2 else 1 << (bits - 1) | self.even(bits - 1)


def huffman_lengths(counts: list[int], most_bits: int) -> list[int]:
    """zlib's code lengths. The heap's order among equals is zlib's own, so it is written out here."""
    symbols = len(counts)
    weight = {i: count for i, count in enumerate(counts) if count}
    used = max(weight, default=-1) + 1
    heap = sorted(weight)
    while len(heap) < 2:
        extra, used = (used, used + 1) if used < 3 else (0, used)
        weight[extra] = 1
        heap.append(extra)
    depth = dict.fromkeys(heap, 0)
    heap.insert(0, -1)  # positions count from 1

    def before(a: int, b: int) -> bool:
        return (weight[a], depth[a]) <= (weight[b], depth[b])

    def sink(at: int) -> None:
        value = heap[at]
        while (child := 2 * at) < len(heap):
            if child + 1 < len(heap) and before(heap[child + 1], heap[child]):
                child += 1
            if before(value, heap[child]):
                break
            heap[at], at = heap[child], child
        heap[at] = value

    for at in range((len(heap) - 1) // 2, 0, -1):
        sink(at)
    parent: dict[int, int] = {}
    order = []  # the nodes from the lightest on
    node = symbols
    while len(heap) > 2:
        first, heap[1] = heap[1], heap[-1]
        heap.pop()
        sink(1)
        second = heap[1]
        order += [first, second]
        weight[node] = weight[first] + weight[second]
        depth[node] = max(depth[first], depth[second]) + 1
        parent[first] = parent[second] = node
        heap[1] = node
        sink(1)
        node += 1
    length = {node - 1: 0}
    too_long = 0
    for n in reversed(order):
        length[n] = length[parent[n]] + 1
        if length[n] > most_bits:
            length[n] = most_bits
            too_long += 1
    of_length = [sum(length[n] == bits for n in order if n < symbols) for bits in range(most_bits + 1)]
    leaves = [n for n in order if n < symbols]
    if too_long:
        while too_long > 0:
            bits = max(bits for bits in range(most_bits) if of_length[bits])
            of_length[bits] -= 1
            of_length[bits + 1] += 2
            of_length[most_bits] -= 1
            too_long -= 2
        new = [bits for bits in range(most_bits, 0, -1) for _ in range(of_length[bits])]
        length |= dict(zip(leaves, new, strict=True))
    return [length[i] if i in leaves else 0 for i in range(used)]


def code_words(lengths: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Of each symbol in use its word, first bit lowest, and how many bits that has."""
    lengths = list(lengths)
    words, word = {}, 0
    for bits in range(1, 16):
        for symbol, length in enumerate(lengths):
            if length == bits:
                words[symbol] = (int(f"{word % 2**bits:0{bits}b}"[::-1], 2), bits)
                word += 1
        word <<= 1
    return words


@dataclass
class BitWriter:
    bits: list[int] = field(default_factory=list)

    def put(self, value: int, count: int) -> None:
        self.bits += [value >> i & 1 for i in range(count)]

    def to_byte(self) -> int:
        return -len(self.bits) % 8

    def bytes(self) -> bytes:
        """The whole bytes."""
        whole = self.bits[: len(self.bits) // 8 * 8]
        return bytes(
            sum(bit << i for i, bit in enumerate(whole[at : at + 8])) for at in range(0, len(whole), 8)
        )


@dataclass(frozen=True)
class Parameters:
    level: int
    search: int
    filtered: bool
    hash_bits: int
    window_bits: int
    block_bits: int


Match = tuple[int, int]  # length and distance
Token = tuple[int, int]  # the same; a literal is (1, 0)


class Predictor:
    def __init__(self, data: bytes, parameters: Parameters) -> None:
        self.data = data
        self.parameters = parameters
        self.good, self.lazy, self.nice, self.chain = EFFORTS[parameters.level - 1]
        self.farthest = (1 << parameters.window_bits) - MARGIN
        self.places: dict[int, list[int]] = {}  # by key, ascending
        self.position = self.inserted = 0
        self.expected: Match | None = None
        self.following: Match | None = None

    def guess(self) -> tuple[Match | None, bool]:
        """The match at the position, and whether a literal is expected though there is one."""
        self.following = None
        if self.parameters.search == NONE:
            return None, False
        if self.parameters.search == RUNS:
            return self.run(), False
        match = self.expected or self.search(self.position, 2)
        if match and self.parameters.search == LAZY and match[0] < self.lazy:
            self.insert_until(self.position + 1)
            self.following = self.search(self.position + 1, match[0])
        return match, self.following is not None

    def take(self, token: Token) -> None:
        length, distance = token
        self.expected = self.following if token == (1, 0) else None
        self.following = None
        end = self.position + length
        if self.parameters.search == GREEDY and distance and length > self.lazy:
            self.insert_until(self.position + 1)
            self.inserted = end
        else:
            self.insert_until(end)
        self.position = end

    def distance_after(self, length: int, count: int) -> int:
        """The distance of the match of this length that ``count`` nearer ones come before."""
        here = self.data[self.position : self.position + length]
        if len(here) == length:
            for place in self.before(self.position)[:MOST_HOPS]:
                if self.position - place > 1 << 15:
                    break
                if self.data[place : place + length] == here:
                    if count == 0:
                        return self.position - place
                    count -= 1
        raise DamagedError("no such match")

    def key(self, at: int) -> int:
        shift = (self.parameters.hash_bits + 2) // 3
        a, b, c = self.data[at : at + 3]
        return (a << 2 * shift ^ b << shift ^ c) & ((1 << self.parameters.hash_bits) - 1)

    def before(self, at: int) -> list[int]:
        """The places with the key of this one, from the nearest on; never the first byte."""
        return [place for place in reversed(self.places.get(self.key(at), [])) if 0 < place < at]

    def insert_until(self, end: int) -> None:
        for at in range(self.inserted, min(end, len(self.data) - 2)):
            self.places.setdefault(self.key(at), []).append(at)
        self.inserted = max(self.inserted, end)

    def common(self, a: int, b: int) -> int:
        most = min(len(self.data) - a, 258)
        return next((i for i in range(most) if self.data[a + i] != self.data[b + i]), most)

    def run(self) -> Match | None:
        length = self.common(self.position, self.position - 1) if self.position else 0
        return (length, 1) if length >= 3 else None

    def search(self, at: int, best: int) -> Match | None:
        """The longest match that is longer than ``best``, if it is worth its distance."""
        left = len(self.data) - at
        if left < 3 or best >= left:
            return None
        hops = self.chain >> 2 if best >= self.good else self.chain
        match = None
        for number, place in enumerate(self.before(at)[:hops]):
            distance = at - place
            if distance > self.farthest or (distance == self.farthest and number):
                break
            length = self.common(at, place)
            if length > best:
                best, match = length, (length, distance)
                if length >= min(self.nice, left):
                    break
        if match and self.parameters.search == LAZY and not self.is_worth_it(*match):
            return None
        return match if match and match[0] >= 3 else None

    def is_worth_it(self, length: int, distance: int) -> bool:
        if self.parameters.filtered and length <= 5:
            return False
        return length != 3 or distance <= TOO_FAR


class Rebuilder:
    """Streams in the order of the recipe."""

    def __init__(self, recipe: bytes) -> None:
        self.decisions = Decisions(recipe)

    def rebuild(self, data: bytes) -> bytes:
        """The stream that inflates to ``data``. Raises DamagedError."""
        return _Stream(self.decisions, data).rebuild()


class _Stream:
    def __init__(self, decisions: Decisions, data: bytes) -> None:
        self.decisions, self.bit, self.symbol = decisions, decisions.bit, decisions.symbol
        self.data = data
        search = self.symbol(2, "search")
        level = min(max(self.symbol(4, "level"), 1), 9)
        filtered = bool(self.bit("filtered"))
        hash_bits = min(max(self.symbol(4, "hash") + 1, 8), 16)
        window_bits = max(8 + self.symbol(3, "window"), 9)
        block_bits = self.symbol(4, "block bits")
        self.parameters = Parameters(level, search, filtered, hash_bits, window_bits, block_bits)
        self.predictor = Predictor(data, self.parameters)
        self.out = BitWriter()
        self.last = self.whole = self.last_was_stored = False
        self.stored_before = 0
        self.history = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.predictor.position

    def rebuild(self) -> bytes:
        ended = False
        while not ended and self.bit("more", self.left == 0):
            self.block()
            ended = self.last or not self.whole
        if self.last and self.whole:
            self.out.put(self.padding(), self.out.to_byte())
        if self.left:
            raise DamagedError("the recipe ends early")
        return self.out.bytes()

    def block(self) -> None:
        self.last = bool(self.bit("last", self.last_was_stored))
        self.out.put(self.last, 1)
        self.last_was_stored = bool(self.bit("stored", self.last_was_stored))
        if self.last_was_stored:
            self.stored()
        else:
            self.codes(self.tokens())

    def padding(self) -> int:
        return self.symbol(7, "padding") if self.bit("padded") else 0

    def stored(self) -> None:
        padding = self.padding()
        if not self.bit("size as before"):
            high = self.symbol(8, "size high")
            self.stored_before = high << 8 | self.symbol(8, "size low")
        size = self.stored_before
        self.out.put(STORED, 2)
        self.out.put(padding, self.out.to_byte())
        self.out.put(size, 16)
        self.out.put(size ^ 0xFFFF, 16)
        here = min(size, self.left)
        self.whole = here == size
        for byte in self.data[self.predictor.position : self.predictor.position + here]:
            self.out.put(byte, 8)
        if here:
            self.predictor.take((here, 0))

    def tokens(self) -> list[Token]:
        to_end = self.bit("to end", self.last)
        self.whole = not to_end or bool(self.bit("whole"))
        count = MOST_TOKENS
        if not to_end:
            full = (1 << self.parameters.block_bits) - 1
            count = full if self.bit("full") else self.decisions.number("tokens")
        tokens: list[Token] = []
        while self.left if to_end else len(tokens) < count:
            if not self.left or len(tokens) == MOST_TOKENS:
                raise DamagedError("too many tokens")
            token = self.token()
            if token[0] > self.left or token[1] > self.predictor.position:
                raise DamagedError("no such token")
            tokens.append(token)
            self.predictor.take(token)
        return tokens

    def went(self, how: int) -> None:
        self.history = (self.history * 3 + how) % 9

    def token(self) -> Token:
        match, lazy = self.predictor.guess()
        expected = 0 if match is None else 1 if lazy else 2
        longest = match[0] if match else 0
        size = next(i for i, end in enumerate((3, 4, 5, 6, 8, 16, 64, 259)) if longest < end)
        if not self.bit("match", expected, size, self.history):
            self.went(int(expected == 2))
            return 1, 0
        if match and self.bit("same length", expected - 1, size, self.history):
            length = longest
            if self.bit("same distance", self.history):
                self.went(int(expected != 2))
                return match
        else:
            length = 3 + self.symbol(8, "length", min(longest - 2, 17) if match else 0)
        distance = self.distance(length)
        self.went(2)
        return length, distance

    def distance(self, length: int) -> int:
        if self.bit("reachable", length > 5):
            return self.predictor.distance_after(length, self.decisions.number("nearer"))
        symbol = min(self.symbol(5, "distance"), 29)
        return DISTANCE_FIRST[symbol] + self.decisions.even(DISTANCE_EXTRA[symbol])

    def codes(self, tokens: list[Token]) -> None:
        """Which codes the block has, and its bits."""
        literals, distances = [0] * 286, [0] * 30
        literals[END_OF_BLOCK] = 1
        at = self.predictor.position - sum(length for length, _ in tokens)
        spelled: list[tuple[int, int, int]] = []  # literal, or length and distance
        for length, distance in tokens:
            if distance:
                literals[257 + length_symbol(length)] += 1
                distances[distance_symbol(distance)] += 1
            else:
                literals[self.data[at]] += 1
            spelled.append((self.data[at], length, distance))
            at += length
        usual = huffman_lengths(literals, 15), huffman_lengths(distances, 15)
        header = self.usual_header(*usual)
        fixed_is_smaller = self.bytes_of(FIXED_LENGTHS, [5] * 30, literals, distances, 0) <= self.bytes_of(
            *usual, literals, distances, len(header.bits)
        )
        if self.bit("fixed", fixed_is_smaller):
            self.out.put(FIXED, 2)
            self.spell(spelled, FIXED_LENGTHS, [5] * 30)
            return
        self.out.put(DYNAMIC, 2)
        lengths = usual if self.bit("usual lengths") else self.lengths(*usual)
        self.header(*lengths)
        self.spell(spelled, *lengths)

    @staticmethod
    def bytes_of(
        literal_lengths: list[int],
        distance_lengths: list[int],
        literals: list[int],
        distances: list[int],
        header: int,
    ) -> int:
        bits = header + sum(a * b for a, b in zip(literal_lengths, literals, strict=False))
        return (bits + sum(a * b for a, b in zip(distance_lengths, distances, strict=False)) + 10) // 8

    def spell(
        self, spelled: list[tuple[int, int, int]], literal_lengths: list[int], distance_lengths: list[int]
    ) -> None:
        literals, distances = code_words(literal_lengths), code_words(distance_lengths)
        none = (0, 0)  # a damaged recipe may leave out words that it needs
        for byte, length, distance in spelled:
            if not distance:
                self.out.put(*literals.get(byte, none))
                continue
            symbol = length_symbol(length)
            self.out.put(*literals.get(257 + symbol, none))
            self.out.put(length - LENGTH_FIRST[symbol], LENGTH_EXTRA[symbol])
            symbol = distance_symbol(distance)
            self.out.put(*distances.get(symbol, none))
            self.out.put(distance - DISTANCE_FIRST[symbol], DISTANCE_EXTRA[symbol])
        if self.whole:
            self.out.put(*literals.get(END_OF_BLOCK, none))

    def lengths(self, literals: list[int], distances: list[int]) -> tuple[list[int], list[int]]:
        """Code lengths that are not the usual ones."""
        sizes = 257 + min(self.symbol(5, "literals"), 29), 1 + min(self.symbol(5, "distances"), 29)
        as_expected = True
        result: tuple[list[int], list[int]] = ([], [])
        for of_distance, (size, usual) in enumerate(zip(sizes, (literals, distances), strict=True)):
            for symbol in range(size):
                expected = usual[symbol] if symbol < len(usual) else 0
                length = self.symbol(4, "code length", of_distance, as_expected, expected)
                as_expected = length == expected
                result[of_distance].append(length)
        return result

    @staticmethod
    def usual_run(literals: list[int], distances: list[int], at: int) -> int:
        """For how many symbols from ``at`` on zlib would say the length at once."""
        of = literals + distances
        begin, end = (0, len(literals)) if at < len(literals) else (len(literals), len(of))
        if of[at] and (at == begin or of[at - 1] != of[at]):
            return 1
        run = 1
        while at + run < end and run < (6 if of[at] else 138) and of[at + run] == of[at]:
            run += 1
        return run if run >= 3 else 1

    @staticmethod
    def run_symbol(length: int, run: int, as_before: bool) -> int:
        if run == 1:
            return length
        return 16 if length or as_before else 17 if run <= 10 else 18

    def usual_header(self, literals: list[int], distances: list[int]) -> BitWriter:
        runs, at = [], 0
        while at < len(literals) + len(distances):
            runs.append((self.usual_run(literals, distances, at), False))
            at += runs[-1][0]
        header = BitWriter()
        self.put_header(header, literals, distances, runs, *self.usual_code(literals + distances, runs))
        return header

    def usual_code(self, of: list[int], runs: list[tuple[int, bool]]) -> tuple[list[int], int]:
        """The lengths of the third code, and how many of them the header has."""
        counts, at = [0] * 19, 0
        for run, as_before in runs:
            counts[self.run_symbol(of[at], run, as_before)] += 1
            at += run
        lengths = huffman_lengths(counts, 7)
        lengths += [0] * (19 - len(lengths))
        return lengths, max(4, *(i + 1 for i, symbol in enumerate(LENGTH_CODE_ORDER) if lengths[symbol]))

    def header(self, literals: list[int], distances: list[int]) -> None:
        of = literals + distances
        usual_runs = self.bit("usual runs")
        runs: list[tuple[int, bool]] = []
        at, as_expected = 0, True
        while at < len(of):
            expected = self.usual_run(literals, distances, at)
            as_expected = bool(usual_runs or self.bit("usual run", as_expected))
            run, as_before = expected, False
            if not as_expected:
                most = min(len(of) - at, 6 if of[at] else 138)
                run = min(self.symbol(8, "run", of[at] != 0), most)
                as_before = of[at] == 0 and 3 <= run <= 6 and bool(self.bit("as before"))
                run = run if run >= 3 else 1
            runs.append((run, as_before))
            at += run
        lengths, count = self.usual_code(of, runs)
        if not self.bit("usual code"):
            usual, lengths = lengths, [0] * 19
            count = 4 + self.symbol(4, "code count")
            for symbol in LENGTH_CODE_ORDER[:count]:
                lengths[symbol] = self.symbol(3, "code code length", usual[symbol])
        self.put_header(self.out, literals, distances, runs, lengths, count)

    def put_header(
        self,
        out: BitWriter,
        literals: list[int],
        distances: list[int],
        runs: list[tuple[int, bool]],
        lengths: list[int],
        count: int,
    ) -> None:
        out.put(len(literals) - 257, 5)
        out.put(len(distances) - 1, 5)
        out.put(count - 4, 4)
        for symbol in LENGTH_CODE_ORDER[:count]:
            out.put(lengths[symbol], 3)
        words = code_words(lengths)
        at, of = 0, literals + distances
        for run, as_before in runs:
            symbol = self.run_symbol(of[at], run, as_before)
            out.put(*words.get(symbol, (0, 0)))
            if symbol >= 16:
                out.put(run - (11 if symbol == 18 else 3), {16: 2, 17: 3, 18: 7}[symbol])
            at += run
