"""The online mixture of one level: models of the next bit, mixed and refined.

Bit after bit, ``predict`` gives the probability of a 1, ``update`` tells the bit, and everything learns.
"""

from __future__ import annotations

import numpy as np

from nczip.reference.apm import Apm
from nczip.reference.arithmetic import squash
from nczip.reference.base_index import BaseIndex
from nczip.reference.bit_history import EMPTY, Histories, after
from nczip.reference.cdf import Walk
from nczip.reference.contexts import (
    SHARED,
    Neighbourhood,
    byte_contexts,
    direct_contexts,
    pixel_contexts,
    raster_contexts,
)
from nczip.reference.counters import ONE, Counter, HistoryMap, quick_squash, stretched
from nczip.reference.hash_slots import HashSlots
from nczip.reference.hashing import hash_of, hash_step
from nczip.reference.known import known_lines, known_weights
from nczip.reference.match import MatchModel
from nczip.reference.mixer import Mixer
from nczip.reference.parts import PARTS
from nczip.reference.ssm import Ssm, row_bits
from nczip.reference.structure import Structure

TOTAL = np.float32(2**24)  # of the coder's probabilities
LEAST = np.float32(4)  # least probability given to the coder, in 2^-24
RATE_DECAY = np.float32(0.99998)  # of the mixer's learning rate, a bit
BINARY_RATE = np.float32(2)  # times that rate in binary data without regular records
BIAS = 0.5  # the last input
READ = {4: 2 << 20, 5: 2 << 20, 6: 512 << 10}  # bytes at the end of a base
BYTES = [bytes([value]) for value in range(256)]  # the vocabulary of the SSM


class Mixture:
    """``raw_size``: bytes in the block; ``table_bits``: log2 of the most bytes that the hash table takes.

    ``base``: what the block follows, None for nothing. Its last ``read`` bytes are read first.
    """

    def __init__(
        self,
        level: int,
        table_bits: int,
        raw_size: int,
        base: bytes | None = None,
        read: int | None = None,
    ) -> None:
        self.level = level
        self.parts = parts = PARTS[level]
        self.base, passed = None, b""
        if base is not None:
            self.base = BaseIndex(base)
            passed = base[: max(0, len(base) - (READ[level] if read is None else read))]
            seen = min(len(base), READ[level])
            raw_size = 1 << (seen + raw_size - 1).bit_length()
        self.past = Structure(passed)
        self.slots = HashSlots(slot_bytes(raw_size, table_bits, parts.slot_share), known_lines())
        self.order0 = Histories()
        self.order1 = Histories()
        self.pixels = [Histories() for _ in range(parts.pixels)]
        self.maps = [HistoryMap() for _ in range(parts.hashed + 2 + parts.pixels)]
        self.direct: list[dict[int, Counter]] = [{} for _ in range(parts.direct)]
        self.direct_shift = 32 - log2_at_least(4 * raw_size, 14, between(14, table_bits - 8, 22))
        match_bits = log2_at_least(raw_size, 12, between(12, table_bits - 6, parts.match_bits))
        self.matches = [MatchModel(length, match_bits) for length in parts.matches]
        rows = min(row_bits(raw_size), between(12, table_bits - 13, 17))
        self.ssm = Ssm(rows) if parts.ssm else None
        self.inputs = np.zeros(parts.inputs, np.float32)
        self.mixer = Mixer(parts.selectors, parts.inputs, known_weights(level), two_layers=parts.apms > 0)
        self.apms = [Apm(log2_at_least(raw_size // 16, 10, parts.apm_bits)) for _ in range(parts.apms)]
        self.rate = parts.rate_start
        self.mixed = np.float32(0.5)
        self.counters: list[Counter] = []  # those behind the prediction, in the order of the inputs
        self.begin_byte()
        for byte in (base or b"")[len(passed) :]:
            for place in range(7, -1, -1):
                self.predict()
                self.update(byte >> place & 1)

    def begin_byte(self) -> None:
        """All bytes so far are known: look up the contexts of the next one."""
        self.partial = 1  # the bits of this byte under a leading 1
        self.bit_index = 0  # how many there are
        if self.past.position:
            for match in self.matches:
                base = self.base if match is self.matches[0] else None
                match.learn(self.past.history, self.past.binary, base)
        self.tell_expected()
        self.hashes = byte_contexts(self.level, self.past)
        self.find_slots()
        self.direct_hashes = direct_contexts(self.past)[: self.parts.direct]
        self.apm_hashes = [hash_of(*map(self.past.back, range(1, n + 2))) for n in range(self.parts.apms)]
        if self.ssm:
            self.walk = Walk(BYTES, self.ssm.predict())
        self.find_places()

    def tell_expected(self) -> None:
        """What the first match model that follows anything expects, with 256 added; 0: nothing."""
        match = next((match for match in self.matches if match.length), self.matches[-1])
        self.past.expected = self.past.history[match.pointer] | 256 if match.length else 0
        self.past.expected_for = match.bucket

    def find_slots(self) -> None:
        self.nibbles = [
            self.slots.find(context, inherits=i < self.parts.known) for i, context in enumerate(self.hashes)
        ]

    def find_places(self) -> None:
        """Where the histories of this bit's contexts stand: (table, key), in the order of the inputs."""
        self.pixel_contexts = pixel_contexts(self.past, self.partial, self.bit_index, self.parts.pixels)
        if self.past.raster:
            self.bit_hashes = raster_contexts(self.past, self.partial, self.bit_index)[: self.parts.direct]
        else:
            self.bit_hashes = [hash_step(context, self.partial) for context in self.direct_hashes]
        seen = self.bit_index % 4  # bits of this nibble
        node = (1 << seen) - 1 + self.partial % (1 << seen)
        self.places = [
            *((nibble, node) for nibble in self.nibbles),
            (self.order0, self.partial),
            (self.order1, self.past.back(1) << 8 | self.partial),
            *zip(
                self.pixels,
                self.pixel_contexts,
                strict=True,
            ),
        ]

    def predict(self) -> int:
        """The probability of a 1 in units of 2^-24."""
        opinions = self.opinions()
        self.inputs = np.zeros_like(self.inputs)
        self.inputs[: len(opinions)] = opinions
        x = self.mixer.mix(self.inputs, self.select(), self.sureness() << 3 | self.bit_index)
        self.mixed = np.float32(squash(x)) if self.parts.apms else quick_squash(x)
        p = self.refine(x) * TOTAL
        return int(min(max(p, LEAST), TOTAL - LEAST))

    def opinions(self) -> list[float]:
        """The inputs of the mixer, without padding."""
        return [
            *self.opinions_of_histories(),
            *self.opinions_of_direct(),
            *(match.expect(self.past.history, self.partial, self.bit_index) for match in self.matches),
            *self.opinion_of_ssm(),
            BIAS,
        ]

    def opinions_of_histories(self) -> list[float]:
        histories = [table[key] for table, key in self.places]
        self.counters = [values[history] for values, history in zip(self.maps, histories, strict=True)]
        return [
            0.0 if history == EMPTY and self.parts.structure else stretched(counter.p)
            for history, counter in zip(histories, self.counters, strict=True)
        ]

    def opinions_of_direct(self) -> list[float]:
        counters = [
            table.setdefault(context >> self.direct_shift, Counter())
            for table, context in zip(self.direct, self.bit_hashes, strict=True)
        ]
        self.counters += counters
        return [stretched(counter.p) for counter in counters]

    def opinion_of_ssm(self) -> list[float]:
        return [stretched(self.walk.one * ONE // self.walk.total)] if self.ssm else []

    def select(self) -> list[int]:
        """Which weight vector each selector picks.

        A set of 2^12 vectors holds those of text, and those of other data behind them.
        """
        past, partial, bit_index = self.past, self.partial, self.bit_index
        c1, c2, c3 = past.back(1), past.back(2), past.back(3)
        longest = self.matches[0]
        expected = 0 if longest.expected_bit is None else longest.bucket * 2 + longest.expected_bit
        first_two = [match.expected_bit is not None for match in self.matches[:2]]
        matching = 0 if not first_two[-1] else 1 + first_two[0]
        known = sum(table[key] != EMPTY for table, key in self.places[:SHARED])
        selected = [
            partial,
            expected << 3 | bit_index,
            matching << 8 | c1,
            c2 << 3 | bit_index,
            known << 8 | partial,
            (c3 >> 5) << 8 | (c1 >> 5) << 5 | (c2 >> 5) << 2 | bit_index >> 1,
            (past.classes & 255) << 3 | bit_index,
            past.word >> 24 << 3 | bit_index,
            (past.open & 255) << 3 | bit_index,
        ]
        if past.raster:
            selected[3], *selected[5:] = map(other, self.select_in_raster())
        elif past.binary:
            selected[6:] = map(other, self.select_in_binary())
        return selected[: len(self.parts.selectors)]

    def select_in_raster(self) -> tuple[int, ...]:
        """Selectors 3 and from 5 on."""
        n = Neighbourhood(self.past, self.partial, self.bit_index)
        pixel = self.pixel_contexts[0]
        return (
            n.left & 7 | n.around(1, 2, 2) << 3 | n.around(2, 1, 1) << 8,
            n.left & 3 | n.around(1, 1, 1) << 2 | n.around(2, 1, 1) << 5 | n.around(3, 1, 1) << 8,
            pixel >> 3,
            pixel,
            self.past.back(self.past.record) << 3 | self.bit_index,
        )

    def select_in_binary(self) -> tuple[int, ...]:
        """Selectors from 6 on."""
        past, record = self.past, self.past.record or 4
        zeros = 0
        for distance in range(1, 7):
            zeros = zeros << 1 | (past.back(distance) == 0)
        return (
            past.position % record << 3 | self.bit_index,
            past.back(record) << 3 | self.bit_index,
            zeros << 5 | past.position % 4 << 3 | self.bit_index,
        )

    def sureness(self) -> int:
        """0 to 3, by the length of the longest match where it expects a bit."""
        longest = self.matches[0]
        if longest.expected_bit is None:
            return 0
        return 1 + (longest.length >= 16) + (longest.length >= 64)

    def refine(self, x: np.float32) -> np.float32:
        """The final probability: the mixer's, averaged with refinements in contexts of one to three bytes.

        In binary data of the expected byte instead of three, on a bitmap of the bits around.
        """
        contexts = [hash_step(context, self.partial) for context in self.apm_hashes]
        if self.parts.apms and self.past.raster:
            contexts[1:] = [hash_of(self.pixel_contexts[0])] if len(contexts) == 2 else self.bit_hashes[1::-1]
        elif len(contexts) == 3 and self.past.binary:
            contexts[2] = hash_of(self.past.expected, self.partial)
        refined = [apm.refine(x, context) for apm, context in zip(self.apms, contexts, strict=True)]
        return self.averaged(refined)

    def averaged(self, refined: list[np.float32]) -> np.float32:
        quarter, half = np.float32(0.25), np.float32(0.5)
        if not refined:
            return self.mixed
        if len(refined) == 2:
            if self.past.raster:
                return (self.mixed * np.float32(2) + refined[0] + refined[1]) * quarter
            return self.mixed * quarter + refined[0] * quarter + refined[1] * half
        three = refined[0] + refined[1] + refined[2]
        if self.past.raster:
            return self.mixed * half + three * (np.float32(1) / np.float32(6))
        if self.past.binary:
            return self.mixed * np.float32(0.4) + three * np.float32(0.2)
        return (self.mixed + refined[0] + refined[1] + refined[2]) * quarter

    def update(self, bit: int) -> None:
        """The bit that came after ``predict``."""
        irregular = self.past.binary and not self.past.regular and not self.past.raster
        self.mixer.update(bit, self.mixed, self.rate * BINARY_RATE if irregular else self.rate)
        self.rate = self.parts.rate_end + (self.rate - self.parts.rate_end) * RATE_DECAY
        for apm in self.apms:
            apm.update(bit)
        self.learn(bit)

    def learn(self, bit: int) -> None:
        """What all models but the mixer and the estimations learn of a bit."""
        for counter in self.counters:
            counter.update(bit)
        for table, key in self.places:  # one after another: two contexts may share a slot
            table[key] = after(table[key], bit)
        for match in self.matches:
            match.update(bit)
        if self.ssm:
            self.walk.take(bool(bit))
        self.partial = self.partial << 1 | bit
        self.bit_index += 1
        if self.bit_index == 8:
            self.end_byte()
            return
        if self.bit_index == 4:
            self.hashes = [hash_step(context, self.partial) for context in self.hashes]
            self.find_slots()
        self.find_places()

    def end_byte(self) -> None:
        byte = self.partial & 0xFF
        if self.ssm:
            self.ssm.update(byte)
        self.past.append(byte, whole=self.parts.structure)
        self.begin_byte()

    def skip(self, expected: bytes) -> None:
        """These bytes came, just as the first match model expected: only what is cheap learns from them."""
        for byte in expected:
            self.past.append(byte, whole=False)
        self.matches[0].skip(len(expected))
        for match in self.matches[1:]:
            match.drop()
        self.begin_byte()


def other(value: int) -> int:
    """The number of a weight vector for data that is not text."""
    return 1 << 11 | value & (1 << 11) - 1


def log2_at_least(size: int, least: int, most: int) -> int:
    """log2 of the smallest power of two that is not below ``size``, within bounds."""
    return min(max(least, (size - 1).bit_length()), most)


def between(least: int, value: int, most: int) -> int:
    """``value``, within bounds."""
    return max(least, min(value, most))


def slot_bytes(raw_size: int, table_bits: int, share: int) -> int:
    """``share`` bytes for every byte of the block, 1 MiB at least, as far as ``table_bits`` lets them."""
    bits = min(20, table_bits)
    while bits < table_bits and (1 << bits) // share < raw_size:
        bits += 1
    return 1 << bits
