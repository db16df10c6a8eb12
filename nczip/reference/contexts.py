"""The contexts of each level, in the order that the format fixes: the one place where they are listed."""

from __future__ import annotations

from nczip.reference.hashing import hash_of
from nczip.reference.structure import Structure

PIXEL_BITS = 18
SHARED = 6  # contexts that begin the list of text and that of binary data
Context = tuple[int, ...]


def byte_contexts(level: int, s: Structure) -> list[int]:
    """The hashes of the contexts of the next byte; each is salted with its place in the list.

    Level 4 takes some of those that the other levels share, which share what is known of them. In binary data
    the others have salts of their own.
    """
    shared = salted(0, contexts_shared(s))
    if level == 4:
        return [shared[i] for i in (0, 2, 4, 3)]
    if s.binary:
        return shared + salted(64, contexts_binary(s)[: {5: 4, 6: 34}[level]])
    return shared + salted(SHARED, contexts_5(s) if level == 5 else contexts_6(s))


def salted(first: int, contexts: list[Context]) -> list[int]:
    """The hashes of contexts, salted with the numbers from ``first`` on."""
    return [hash_of(salt, *context) for salt, context in enumerate(contexts, first)]


def contexts_shared(s: Structure) -> list[Context]:
    """N-grams and words; they also tell the mixer how much is known."""
    c1, c2, c3, c4, c5, c6 = (s.back(distance) for distance in range(1, 7))
    return [
        (c1, c2),
        (c1, c2, c3),
        (c1, c2, c3, c4),
        (c1, c2, c3, c4, c5, c6),
        (s.word, c1),
        (s.word, s.words_before[0]),
    ]


def contexts_5(s: Structure) -> list[Context]:
    c1 = s.back(1)
    word1, word2, _ = s.words_before
    after2 = s.after2.get((s.back(2), c1), 0)
    row = s.record
    north, north2 = in_rows(s, 1, 0), in_rows(s, 2, 0)
    return [
        (s.word, c1, word2),
        # records and rows, or text
        either(s, (north, place_in_record(s), row), (word1, c1, s.classes & 15)),
        either(s, (north, north2, row), (after2 & 0xFFFF, c1)),
        (c1, min(s.column, 255), s.above),
    ]


def contexts_6(s: Structure) -> list[Context]:
    c1, c2, c3, c4, c5, c6, c7, c8 = (s.back(distance) for distance in range(1, 9))
    word1, word2, word3 = s.words_before
    after1, after2 = s.after1.get(c1, 0), s.after2.get((c2, c1), 0)
    row = s.record
    north, north2, north_west, north_east = (in_rows(s, rows, right) for rows, right in NEIGHBOURS)
    last4 = c1 | c2 << 8 | c3 << 16 | c4 << 24
    return [
        *contexts_5(s),
        (s.classes & 0xFFFF, c1),
        (s.word, after1 & 0xFFFF),
        (s.classes & 0xFFFFFF, s.word),
        (c4, c5, c6),
        (s.above, c1),
        (c1, c2, c3, c4, c5),
        (after1 & 0xFFFF, c1),
        (c2, c3),
        either(s, (north, c1, row), (c2, c3, c4, c5)),
        either(s, (north, north_east, north_west, c1), (last4, c5, c6, c7)),
        (last4, c5, c6, c7, c8),
        (c3, c4),
        (c1, c3),
        (s.word, word1, word2),
        (c1 & 0xF0 | (c2 & 0xF0) << 8 | (c3 & 0xF0) << 16 | c4 << 24,),
        (c1, c4, c8),
        (s.word, s.open & 255),
        (s.word, word2),
        (c2, c3, c4),
        (s.first, min(s.column, 255), c1),
        (after2 & 0xFFFFFF, c1, c2),
        (s.word, s.above, s.first),
        (word1, word2, 0 if s.word else c1),
        (c1 & 0xDF, c2 & 0xDF, c3 & 0xDF),
        (s.word, word3),
        either(s, (north, north2, in_rows(s, 3, 0)), (s.word, word1, word2, word3)),
        either(s, (place_in_record(s), c1, row), (s.word, word2, word3)),
        either(s, (north + c1 - north_west, north + c1 >> 1), (word1, word2, word3, 0 if s.word else c1)),
        (s.open, s.word),
        either(s, (north, north_east, c1), (s.word, s.classes & 0xFFF)),
    ]


def contexts_binary(s: Structure) -> list[Context]:
    """The most useful first: level 5 has four."""
    c1, c2, c3, c4, c5, c6, c7, c8 = (s.back(distance) for distance in range(1, 9))
    north, north2, north_west, north_east = (in_rows(s, rows, right) for rows, right in NEIGHBOURS)
    record, place = s.record, place_in_record(s)
    above = s.back(s.row) if s.row else 0
    above_west = s.back(s.row + s.record) if s.row else 0
    after1, after2 = s.after1.get(c1, 0), s.after2.get((c2, c1), 0)
    last4 = c1 | c2 << 8 | c3 << 16 | c4 << 24
    in_word = s.position % 4  # of four bytes
    begun = last4 & (1 << 8 * in_word) - 1
    zeros = equal = 0  # which of the last bytes are 0, and which as they were a record before
    for distance in range(1, 13):
        zeros = zeros << 1 | (s.back(distance) == 0)
    for distance in range(1, 7):
        equal = equal << 1 | (s.back(distance) == in_rows(s, 1, -distance))
    return [
        (c2, c3),
        (north + c1 - north_west, north + c1 >> 1),
        (2 * north - north2, place, record),
        (north, place, record),
        (c3, c4),
        (place, c1, record),
        (c1 & 0xF8, c2 & 0xF8, c3 & 0xF8, c4 & 0xF8),  # opcodes without registers
        (c2, c4, c6),
        (in_word, c1, c4),
        (c1, c3),
        (after2 & 0xFFFF, c1),
        (after1 & 0xFFFF, c1),
        (c1 & 0xF0 | (c2 & 0xF0) << 8 | (c3 & 0xF0) << 16 | c4 << 24,),
        (north, c1, record),
        (north, north2, in_rows(s, 3, 0)),
        (place, record, c1, c2),
        (in_word, c4, c8),
        (north, north2, c1 - north_west),
        (zeros, c1),
        (in_word, c1, c2),
        (c3, c6),
        (c5, c6, c7, c8),
        (zeros & 255, c4, in_word),
        (in_word, begun, s.back(4 + in_word), s.back(8 + in_word)),
        (place, north, equal),
        (above + c1 - s.back(s.row + 1), above),
        (above + north - above_west, north),
        (above, north, s.row),
        (c4, c5),
        (c2, c3, c4),
        (last4, c5, c6, c7, c8),
        (north, north_east, north_west, c1),
        (s.expected, c1),
        (s.expected, s.expected_for),
    ]


def either(s: Structure, in_records: Context, in_text: Context) -> Context:
    """A context for where a record length shows, or another for where none does."""
    return (s.record, hash_of(*(in_records if s.record else in_text)))


NEIGHBOURS = (
    (1, 0),
    (2, 0),
    (1, -1),
    (1, 1),
)  # north, north of it, north-west, north-east: (rows up, bytes right)


def in_rows(s: Structure, rows: int, right: int) -> int:
    """The byte so many rows above the next one and bytes to the right, 0 where no record length shows."""
    return s.back(rows * s.record - right) if s.record else 0


def place_in_record(s: Structure) -> int:
    return s.position % s.record if s.record else 0


def direct_contexts(s: Structure) -> list[int]:
    """The hashes of the byte contexts whose bits have counters of their own."""
    c1, c2, c3, c4 = (s.back(distance) for distance in range(1, 5))
    return [
        hash_of(c1),
        hash_of(c1, c2),
        hash_of(c1, c2, c3),
        hash_of(c1, c2, c3, c4),
        hash_of(s.word, c1),
        hash_of(s.word, s.words_before[0]),
    ]


class Neighbourhood:
    """The bits around the one to come, where records are rows: to its left, and in the rows above.

    ``partial``: the bits of this byte so far under a leading 1; ``bit_index``: how many there are.
    """

    def __init__(self, s: Structure, partial: int, bit_index: int) -> None:
        self.s, self.bit_index = s, bit_index
        self.left = s.back(2) << 8 + bit_index | s.back(1) << bit_index | partial ^ 1 << bit_index

    def around(self, rows: int, before: int, after: int) -> int:
        """So many bits before and after the one that many rows above, and itself."""
        distance = rows * self.s.record
        above = self.s.back(distance + 1) << 16 | self.s.back(distance) << 8 | self.s.back(distance - 1)
        return above >> 15 - self.bit_index - after & (1 << before + 1 + after) - 1


def pixel_contexts(s: Structure, partial: int, bit_index: int, count: int) -> list[int]:
    """Contexts of the bits around this one, as on a bitmap.

    Where no record length shows, sparse bit contexts. The first ``count`` of four, each < 2^18.
    """
    n = Neighbourhood(s, partial, bit_index)
    left, around = n.left, n.around

    def small(*values: int) -> int:
        return hash_of(*values) >> 32 - PIXEL_BITS

    if not s.record:
        contexts = [
            left & (256 << bit_index) - 1,
            small(left & 127, s.back(2), bit_index),
            small(left & 15, s.back(4), bit_index, 5),
            small(left & 7, s.back(3), bit_index, 6),
        ]
    else:
        contexts = [
            left & 15 | around(1, 2, 2) << 4 | around(2, 2, 2) << 9,
            small(left & 127, around(1, 3, 3), around(2, 2, 2), 1),
            small(left & 15, around(1, 4, 5), around(2, 3, 3), around(3, 1, 1)),
            small(left & 255, around(1, 3, 4), s.position % s.record, 2),
        ]
    return contexts[:count]


def raster_contexts(s: Structure, partial: int, bit_index: int) -> list[int]:
    """What the direct contexts are on a bitmap: hashes of single bits."""
    n = Neighbourhood(s, partial, bit_index)
    left, around = n.left, n.around
    return [
        hash_of(left & 255, around(1, 4, 4) | around(2, 2, 2) << 16),
        hash_of(left & 15 | around(1, 3, 3) << 4 | around(2, 3, 3) << 12, around(3, 2, 2)),
        hash_of(left & 0xFFF | around(1, 1, 2) << 12, 2),
        hash_of(left & 7 | around(1, 5, 6) << 4 | around(2, 1, 1) << 20, 3),
        hash_of(
            left & 3
            | around(1, 2, 2) << 2
            | around(2, 2, 2) << 7
            | around(3, 2, 2) << 12
            | around(4, 2, 2) << 17,
            around(5, 1, 1),
            4,
        ),
        hash_of(
            left & 63 | around(1, 4, 5) << 6 | around(2, 3, 3) << 16,
            around(3, 3, 3) | around(4, 1, 1) << 8,
            5,
        ),
    ]
