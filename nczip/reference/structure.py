"""What contexts see of the bytes so far: words, lines, brackets, what followed before, the record length."""

from __future__ import annotations

import numpy as np

from nczip.reference.hashing import hash_step

MAX_RECORD = 1024  # longest record length
PERIOD = 1024  # bytes between two searches for the record length; in text that shows none,
MAX_PERIOD = 16384  # twice as many until the next, to this many
WINDOW = 2048  # bytes that a search looks back
OVER_MEAN = 2  # in text: times as often must bytes repeat as at a mean distance
OPENING = b'<[{("&|='
CLOSING = b">]})\n"


class Structure:
    """All numbers are below 2^32, and 0 at the start of a block."""

    def __init__(self) -> None:
        self.history = bytearray()
        self.word = 0  # hash of the letters of the current word, 0 outside words
        self.words_before = [0, 0, 0]  # hashes of the words before, the latest first
        self.classes = 0  # two bits a byte, the latest lowest: letter, digit, space, other
        self.line_start = 0  # where this line begins
        self.above_start = 0  # where the line above begins
        self.first = 0  # first byte of this line that is not 0
        self.open = 0  # open brackets and the like, a byte each, the innermost lowest
        self.after1: dict[int, int] = {}  # the last four bytes that followed each byte, the latest lowest
        self.after2: dict[tuple[int, int], int] = {}  # the same for each pair of bytes
        self.record = 0  # bytes in a record or row, 0 where none shows
        self.period = self.next_search = PERIOD  # position of the next search, and its distance from the last

    @property
    def position(self) -> int:
        return len(self.history)

    def back(self, distance: int) -> int:
        """The byte ``distance`` >= 1 places before the next one, 0 before the block."""
        return self.history[-distance] if distance <= len(self.history) else 0

    @property
    def column(self) -> int:
        return self.position - self.line_start

    @property
    def above(self) -> int:
        """The byte of the line above in this column, or a line feed past its end."""
        place = self.above_start + self.column
        return self.history[place] if place < self.line_start else ord("\n")

    def append(self, byte: int, whole: bool) -> None:
        """One more byte. ``whole``: everything takes note of it, not words alone."""
        self.history.append(byte)
        lower = byte + 32 if ord("A") <= byte <= ord("Z") else byte
        is_letter = ord("a") <= lower <= ord("z") or byte >= 128
        if is_letter:
            self.word = hash_step(self.word, lower)
        elif self.word:
            self.words_before = [self.word, *self.words_before[:2]]
            self.word = 0
        if whole:
            self.append_class(byte, is_letter)
            self.append_to_line(byte)
            self.append_bracket(byte)
            self.append_follower(byte)
            if self.position >= self.next_search:
                self.record, text = record_length(self.history)
                self.period = min(2 * self.period, MAX_PERIOD) if text and not self.record else PERIOD
                self.next_search = self.position + self.period

    def append_class(self, byte: int, is_letter: bool) -> None:
        if is_letter:
            kind = 0
        elif ord("0") <= byte <= ord("9"):
            kind = 1
        elif byte <= ord(" "):
            kind = 2
        else:
            kind = 3
        self.classes = (self.classes << 2 | kind) & 0xFFFFFFFF

    def append_to_line(self, byte: int) -> None:
        if byte == ord("\n"):
            self.above_start, self.line_start = self.line_start, self.position
            self.first = 0
        elif not self.first:
            self.first = byte

    def append_bracket(self, byte: int) -> None:
        if byte in OPENING:
            self.open = (self.open << 8 | byte) & 0xFFFFFFFF
        elif byte in CLOSING:
            self.open >>= 8

    def append_follower(self, byte: int) -> None:
        c2, c3 = self.back(2), self.back(3)
        self.after1[c2] = (self.after1.get(c2, 0) << 8 | byte) & 0xFFFFFFFF
        self.after2[c3, c2] = (self.after2.get((c3, c2), 0) << 8 | byte) & 0xFFFFFFFF


def record_length(history: bytearray) -> tuple[int, bool]:
    """The distance at which most of the last bytes repeat, or 0 if it is too few.

    Only bytes that differ from the one before them count, so that runs don't. Short distances win ties, and a
    little more, since multiples of a record length repeat as well.
    """
    window = np.frombuffer(history, np.uint8)[max(len(history) - WINDOW - MAX_RECORD - 1, 0) :]
    best, best_distance, total = 0, 0, 0
    for distance in range(2, min(MAX_RECORD, len(history) - 1) + 1):
        count = min(WINDOW, len(history) - distance)
        last, before = window[-count:], window[-count - 1 : -1]
        earlier = window[-count - distance : -distance]
        score = int(np.count_nonzero((last == earlier) & (last != before)))
        total += score
        score = score * 64 // (64 + distance // 16)
        if score > best:
            best, best_distance = score, distance
    recent = np.frombuffer(history, np.uint8)[-WINDOW:]
    printable = int(np.count_nonzero((recent >= ord(" ")) & (recent < 127) | (recent == ord("\n"))))
    text = printable * 16 > len(recent) * 15
    often = best * 6 > WINDOW // 8
    stands_out = best * (MAX_RECORD - 1) > total * OVER_MEAN
    return (best_distance if often and (stands_out or not text) else 0), text
