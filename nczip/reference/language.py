"""One block of a language model in single steps: what is asked of its tokens, and how the answers are learnt.

The same numbers as nczip/native/language_coder.hpp, speller.hpp, token_ends.hpp and head_adaptation.hpp give.
For short blocks: the network runs over all tokens anew for each position.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nczip.reference.apm import Apm
from nczip.reference.arithmetic import LANES, Floats, lane_sum, squash, stretch
from nczip.reference.cdf import TOTAL, Walk, make_cdf
from nczip.reference.counters import Counter, stretched
from nczip.reference.hashing import hash_of, hash_step
from nczip.reference.known import UNIT, known_weights, weight_count
from nczip.reference.mixer import FINAL_CONTEXTS, MAX_STRETCH, Mixer
from nczip.reference.mixture import Mixture, log2_at_least
from nczip.reference.parts import PARTS
from nczip.reference.state_cache import EVERY, StateCache
from nczip.reference.token_weights import TokenWeights
from nczip.reference.transformer import Matrix, Transformer

BIAS_RATE = 0.1  # of the tokens' biases, in nats a token
SURENESS = 26  # ways in which a language model can be sure of a decision
FINAL_RATE = np.float32(0.0002)
STATE_RATE = np.float32(float.fromhex("0x1.3a92a4p-13"))
FIRST_SQUARE = np.float32(2.0**-27)


class Coder(Protocol):
    """A range decoder of decisions and intervals."""

    def decode_bit(self, p1: int) -> bool | int: ...
    def peek(self) -> int: ...
    def take(self, left: int, width: int) -> None: ...


def logistic(p: np.float32, least: float) -> np.float32:
    """The stretched probability, cut before and after."""
    inside = min(max(p, np.float32(least)), np.float32(1) - np.float32(least))
    return np.float32(min(max(np.float32(stretch(inside)), -MAX_STRETCH), MAX_STRETCH))


def way(x: np.float32) -> int:
    """In which of the ways a language model is sure, by its stretched probability."""
    return int(min(max(x + np.float32(SURENESS // 2), np.float32(0)), np.float32(SURENESS - 1)))


class LanguageMixture(Mixture):
    """The mixture of level 5 or 6 with two more inputs and two more selectors, for level 8 or 9."""

    def __init__(self, level: int, table_bits: int, raw_size: int) -> None:
        base = level - 3
        super().__init__(base, table_bits, raw_size)
        models = len(Mixture.opinions(self))
        self.inputs = np.zeros(-(-(models + 2) // LANES) * LANES, np.float32)
        self.parts = replace(
            self.parts,
            selectors=(*self.parts.selectors, SURENESS << 3, SURENESS << 3),
            apm_bits=11 if level == 8 else self.parts.apm_bits,
            rate_start=np.float32(0.003),
            rate_end=np.float32(0.0007),
        )
        weights = self.initial(base, models)
        self.mixer = Mixer(self.parts.selectors, len(self.inputs), weights, True, FINAL_RATE)
        self.apms = [
            Apm(log2_at_least(raw_size // 16, 10, self.parts.apm_bits)) for _ in range(self.parts.apms)
        ]
        self.rate = self.parts.rate_start
        self.share = np.float32(0.5)
        self.depth = 0

    def initial(self, base: int, models: int) -> Floats:
        """The weights of the base, a fifth of them, 0.9 for the model, and its final vectors."""
        parts = PARTS[base]
        known = known_weights(base)
        first = (known[: sum(parts.selectors) * parts.inputs] / UNIT).astype(np.int32)
        vectors = np.zeros((sum(self.parts.selectors), len(self.inputs)), np.int32)
        old = first.reshape(-1, parts.inputs)[:, :models]
        vectors[: len(old), :models] = np.sign(old) * (np.abs(old) // 5)
        vectors[:, models] = 3686
        final = (known[-FINAL_CONTEXTS * LANES :] / UNIT).astype(np.int32).reshape(-1, LANES).copy()
        final[:, len(parts.selectors) :] = 0
        final[:, len(parts.selectors) : len(self.parts.selectors)] = 410
        assert len(known) == weight_count(parts)
        return np.concatenate([vectors.reshape(-1), final.reshape(-1)]).astype(np.float32) * UNIT

    def ask(self, share: np.float32, depth: int) -> int:
        """The probability of a 1 in units of 2^-24; ``share`` is the model's, after ``depth`` bytes."""
        self.share, self.depth = share, depth
        return self.predict()

    def pass_over(self, bit: int) -> None:
        """A bit that needed no prediction."""
        Mixture.opinions(self)
        self.learn(bit)

    def opinions(self) -> list[float]:
        return [
            *super().opinions(),
            float(logistic(self.share, 2.0**-22)),
            float((self.share - np.float32(0.5)) * np.float32(4)),
        ]

    def select(self) -> list[int]:
        sure = way(logistic(self.share, 2.0**-22)) << 3
        base = super().select()[: len(self.parts.selectors) - 2]
        return [*base, sure | self.bit_index, sure | min(self.depth, 7)]

    def averaged(self, refined: list[np.float32]) -> np.float32:
        if len(refined) == 2 or self.past.raster or self.past.binary:
            return super().averaged(refined)
        others = (refined[0] + refined[1] + refined[2]) * (np.float32(1) / np.float32(3))
        return self.mixed * np.float32(0.6) + others * np.float32(0.4)


class TokenEnds:
    """Whether a token ends here. ``table_bits``: log2 of the counters of each context."""

    def __init__(self, table_bits: int) -> None:
        self.shift = 32 - table_bits
        self.tables: list[dict[int, Counter]] = [{} for _ in range(5)]
        self.counters: list[Counter] = []
        self.apms = [Apm(11), Apm(11)]
        vector = np.zeros(LANES, np.float32)
        vector[:3] = 2048, 1024, 1024
        vector[4:9] = 204
        final = np.zeros(LANES, np.float32)
        final[:2] = 2048
        weights = [vector] * (8 + SURENESS) + [final] * FINAL_CONTEXTS
        self.mixer = Mixer((8, SURENESS), LANES, np.concatenate(weights) * UNIT, True, FINAL_RATE)
        self.rate = np.float32(0.01)
        self.mixed = np.float32(0.5)

    def ask(self, share: np.float32, history: bytes, depth: int, word: int) -> int:
        """The probability that it ends, in units of 2^-24: ``share`` is the model's."""

        def back(i: int) -> int:
            return history[-i] if i <= len(history) else 0

        prefix = depth
        for i in range(1, depth + 1):
            prefix = hash_step(prefix, back(i))
        contexts = (
            hash_of(prefix, 1),
            hash_of(prefix, back(depth + 1), back(depth + 2), 2),
            hash_of(prefix, back(depth + 1), back(depth + 2), back(depth + 3), back(depth + 4), 3),
            hash_of(depth, back(1), back(2), back(3), 4),
            hash_of(depth, word, 5),
        )
        opinion = logistic(share, 2.0**-20)
        by_byte = self.apms[0].refine(opinion, hash_of(back(1), 1))
        by_length = self.apms[1].refine(opinion, hash_of(depth, 2))
        self.counters = [
            table.setdefault(context >> self.shift, Counter())
            for table, context in zip(self.tables, contexts, strict=True)
        ]
        x = np.zeros(LANES, np.float32)
        x[:4] = opinion, logistic(by_byte, 2.0**-20), logistic(by_length, 2.0**-20), 0.3
        x[4:9] = [stretched(counter.p) if counter.n else 0 for counter in self.counters]
        place = min(depth, 7)
        self.mixed = np.float32(squash(self.mixer.mix(x, [place, way(opinion)], place)))
        tenth = np.float32(0.1)
        p = self.mixed * np.float32(0.8) + by_byte * tenth + by_length * tenth
        return int(min(max(p * np.float32(TOTAL), np.float32(4)), np.float32(TOTAL - 4)))

    def update(self, end: bool) -> None:
        self.mixer.update(int(end), self.mixed, self.rate)
        self.rate = np.float32(0.002) + (self.rate - np.float32(0.002)) * np.float32(0.9995)
        for apm in self.apms:
            apm.update(int(end))
        for counter in self.counters:
            counter.update(int(end), 255)


class HeadAdaptation:
    """The matrix that a state passes, h + A h, before the head; Adagrad (Duchi and others, 2011) moves it."""

    def __init__(self, head: Matrix, hidden: int) -> None:
        self.head = head
        self.matrix: Floats = np.zeros((hidden, hidden), np.float32)
        self.gradient: Floats = np.zeros((hidden, hidden), np.float32)
        self.squares: Floats = np.full((hidden, hidden), FIRST_SQUARE, np.float32)

    def apply(self, h: Floats) -> Floats:
        return h + lane_sum(self.matrix * h)

    def learn(self, h: Floats, weights: NDArray[np.int64], token: int) -> None:
        """``token`` came after the state ``h``, when tokens had these ``weights``."""
        likely = np.flatnonzero(weights >= (int(weights.sum()) >> 14) + 1)
        one = np.float32(1) / np.float32(max(int(weights[likely].sum()), 1))
        error = np.zeros(len(h), np.float32)
        for other in likely:
            share = np.float32(weights[other]) * one
            error = error + share * self.head.scale[other] * self.head.weights[other].astype(np.float32)
        error = error - self.head.scale[token] * self.head.weights[token].astype(np.float32)
        self.gradient = self.gradient + error[:, np.newaxis] * h

    def update(self) -> None:
        self.squares = self.squares + self.gradient * self.gradient
        self.matrix -= STATE_RATE * self.gradient / np.sqrt(self.squares)
        self.gradient = np.zeros_like(self.gradient)


class Speller:
    """Tokens as decisions: bits that the mixture predicts, and where tokens end."""

    def __init__(self, level: int, table_bits: int, raw_size: int, vocabulary: Sequence[bytes]) -> None:
        self.vocabulary = vocabulary
        self.mixture = LanguageMixture(level, table_bits, raw_size)
        self.ends = TokenEnds(12 if level == 8 else 16)

    @property
    def content(self) -> bytes:
        return bytes(self.mixture.past.history)

    def decode(self, sums: NDArray[np.int64], coder: Coder) -> int:
        """The next token, given partial sums [V + 1] of the tokens' weights."""
        walk = Walk(self.vocabulary, [int(s) for s in sums])
        depth = 0
        while True:
            if not walk.done and walk.bit is None and walk.depth == depth:
                word = self.mixture.past.word
                end = bool(coder.decode_bit(self.ends.ask(self.share(walk), self.content, depth, word)))
                self.ends.update(end)
                walk.take(end)
                if end:
                    return walk.token
            elif walk.done and len(self.vocabulary[walk.token]) == depth:
                return walk.token
            for bit_index in reversed(range(8)):
                if not walk.done and walk.bit == bit_index and walk.depth == depth:
                    bit = int(coder.decode_bit(self.mixture.ask(self.share(walk), depth)))
                    walk.take(bool(bit))
                    self.mixture.update(bit)
                else:  # all strings that are left agree
                    self.mixture.pass_over(self.vocabulary[walk.left[0]][depth] >> bit_index & 1)
            depth += 1

    def share(self, walk: Walk) -> np.float32:
        return np.float32(walk.one) / np.float32(walk.total)


class DirectDecoder:
    """Tokens as intervals."""

    def __init__(self, vocabulary: Sequence[bytes]) -> None:
        self.vocabulary = vocabulary
        self.content = b""

    def decode(self, sums: NDArray[np.int64], coder: Coder) -> int:
        """The next token, given partial sums [V + 1] of the tokens' weights."""
        cut = max(0, int(sums[-1]).bit_length() - 40)
        cum = make_cdf([int(s) >> cut for s in sums])
        token = bisect_right(cum, coder.peek()) - 1
        coder.take(cum[token], cum[token + 1] - cum[token])
        self.content += self.vocabulary[token]
        return token


def decode_block(
    model: Transformer, level: int, table_bits: int, window: int, raw_size: int, coder: Coder
) -> bytes:
    """The content of a block of ``raw_size`` bytes. ``coder`` reads the packed bytes.

    Raises ValueError where the last token is longer than the block.
    """
    vocabulary = model.strings()
    decoder = DirectDecoder(vocabulary) if level == 7 else Speller(level, table_bits, raw_size, vocabulary)
    silent = model.head.scale[: len(vocabulary)] == 0
    weights = TokenWeights(silent, 0.0 if level == 7 else BIAS_RATE)
    adaptation = HeadAdaptation(model.head, model.hidden)
    cache = StateCache(len(vocabulary), model.hidden)
    tokens = [len(vocabulary)]
    states: list[Floats] = []  # since the last multiple of EVERY
    while len(decoder.content) < raw_size:
        states.append(model.states(window, tokens)[-1])
        adapted = adaptation.apply(states[-1]) if level == 9 else states[-1]
        logits = model.logits_of(adapted[np.newaxis])[0]
        token = None
        while len(decoder.content) < raw_size and (token is None or silent[token]):
            weights.predict(logits)
            if level == 9:
                cache.predict(states[-1], weights)
            token = decoder.decode(weights.sums(), coder)
            if level == 9:
                cache.learn(weights, token)
                adaptation.learn(states[-1], weights.weights, token)
            if level > 7:
                weights.update(token)
        tokens.append(token if token is not None else 0)
        if len(states) == EVERY:
            adaptation.update()
            cache.remember(np.array(states), tokens[-EVERY:])
            states = []
    if len(decoder.content) > raw_size:
        raise ValueError("the last token is longer than the block")
    return decoder.content
