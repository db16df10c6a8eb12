"""What contexts see of the bytes so far: words, lines, brackets, what followed before, records and rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nczip.reference.hashing import hash_step

MAX_RECORD = 1024  # longest record length
PERIOD = 1024  # bytes between two searches for the record length; in text that shows none,
MAX_PERIOD = 16384  # twice as many until the next, to this many
KIND_PERIOD = 512  # bytes between two looks at whether this is text
LEAST_RASTER = 64  # bytes of the rows of a bitmap
MAX_PIXEL = 32  # bytes of records that may make rows,
MAX_ROW = 4096  # and of such rows
Counts = npt.NDArray[np.int64]
OPENING = b'<[{("&|='
CLOSING = b">]})\n"


class Structure:
    """All numbers are below 2^32, and 0 at the start of a block.

    ``passed``: bytes that are known at first, of which nothing takes note.
    """

    def __init__(self, passed: bytes = b"") -> None:
        self.history = bytearray(passed)
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
        self.row = 0  # bytes in a row of short records, such as pixels; 0 where none shows
        self.binary = False  # the last bytes don't look like text
        self.regular = False  # binary records are much alike
        self.raster = False  # they are long as well, as the rows of a bitmap
        self.expected = self.expected_for = 0  # what a match says comes, and how long the match is
        self.strange = 0  # bytes of late that text does not have
        self.next_look = KIND_PERIOD  # position of the next look at the kind
        self.period = self.next_search = PERIOD  # position of the next search, and its distance from the last
        self.changes = 0  # bytes of late that differ from the one before
        self.repeats = np.zeros(MAX_RECORD + 1, np.int64)  # of these, how many repeat at each distance
        self.pixel = 0  # the record whose rows are looked for
        self.compared = 0  # bytes that were
        self.row_repeats = np.zeros(MAX_ROW // 2 + 1, np.int64)  # how many repeat at each multiple of it

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
        """One more byte. ``whole``: everything takes note of it, not words and the kind alone."""
        self.history.append(byte)
        lower = byte + 32 if ord("A") <= byte <= ord("Z") else byte
        is_letter = ord("a") <= lower <= ord("z") or byte >= 128
        if is_letter:
            self.word = hash_step(self.word, lower)
        elif self.word:
            self.words_before = [self.word, *self.words_before[:2]]
            self.word = 0
        if self.position >= self.next_look:
            self.find_kind()
        if whole:
            self.append_class(byte, is_letter)
            self.append_to_line(byte)
            self.append_bracket(byte)
            self.append_follower(byte)
            if self.position >= self.next_search:
                self.find_record()
                self.find_row()

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

    def find_kind(self) -> None:
        """Text has few control codes, and bytes from 128 on in the order of UTF-8."""
        window = np.frombuffer((b"\0" + self.history)[-KIND_PERIOD - 1 :], np.uint8)
        last, before = window[1:], window[:-1]
        control = (last < ord(" ")) & ~np.isin(last, list(b"\n\r\t"))
        continues_nothing = (last >= 0x80) & (last < 0xC0) & (before < 0x80)
        breaks_off = (last < 0x80) & (before >= 0xC0)
        self.strange += int(np.count_nonzero(control | continues_nothing | breaks_off))
        was_text = not self.binary
        self.binary = self.strange > KIND_PERIOD // 8  # one in 16 of twice the period
        self.strange //= 2
        if self.binary and was_text:
            self.next_search = max(self.position, PERIOD)
        if not self.binary:
            self.raster = self.regular = False
        self.next_look = self.position + KIND_PERIOD

    def find_record(self) -> None:
        """The distance at which most bytes repeat, unless they are too few.

        Only bytes that differ from the one before them count, so that runs don't. Short distances win ties,
        and a little more, since multiples of a record length repeat as well. Evidence is halved as more
        comes, and lasts where nothing changes.
        """
        self.changes += self.count_repeats(self.repeats)
        distances = np.arange(2, MAX_RECORD + 1)
        scores = self.repeats[2:] * 64 // (64 + distances // 16)
        best, total = int(scores.max()), int(self.repeats.sum())
        # In text every distance has many repeats, and a record length must stand out as well.
        many = best * 8 > self.changes
        stands_out = best * MAX_RECORD * 2 > total * (3 if self.binary else 4)  # 1.5 times the mean, or twice
        shows = many or stands_out if self.binary else many and stands_out
        self.record = int(distances[scores.argmax()]) if shows else 0
        self.regular = self.binary and best * 2 > self.changes
        self.raster = self.binary and many and self.record >= LEAST_RASTER
        if self.changes > 2 * PERIOD:
            self.changes //= 2
            self.repeats //= 2
        self.period = PERIOD if self.binary or self.record else min(2 * self.period, MAX_PERIOD)
        self.next_search = self.position + self.period

    def count_repeats(self, repeats: Counts) -> int:
        """How many of the last bytes differ from the one before; counts those that repeat, by distance."""
        history = np.frombuffer(self.history, np.uint8)
        end, start = len(history), max(len(history) - PERIOD, 1)
        changed = history[start:] != history[start - 1 : -1]
        for distance in range(2, min(MAX_RECORD, end - 1) + 1):
            first = max(end - PERIOD, distance)
            repeated = history[first:] == history[first - distance : -distance]
            repeats[distance] += np.count_nonzero(repeated & changed[first - start :])
        return int(np.count_nonzero(changed))

    def find_row(self) -> None:
        """The multiple of a short record at which upper halves of bytes repeat more often than beside it."""
        if self.record != self.pixel:
            self.pixel = self.record
            self.compared = 0
            self.row_repeats[:] = 0
        self.row = 0
        if not self.binary or not self.record or self.record > MAX_PIXEL:
            return
        history = np.frombuffer(self.history, np.uint8)
        most = MAX_ROW // self.record
        for k in range(1, min(most, (len(history) - 1) // self.record) + 1):
            distance = k * self.record
            first = max(len(history) - PERIOD, distance)
            alike = (history[first:] ^ history[first - distance : -distance]) < 16
            self.row_repeats[k] += np.count_nonzero(alike)
        self.compared += PERIOD
        multiples = np.arange(4, most)
        beside = self.row_repeats[multiples - 1] + self.row_repeats[multiples + 1]
        more = 2 * self.row_repeats[multiples] - beside
        if more.max() > self.compared // 16:
            self.row = int(multiples[more.argmax()]) * self.record
        if self.compared > 16 * PERIOD:
            self.compared //= 2
            self.row_repeats //= 2
