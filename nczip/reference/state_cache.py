"""What followed a block's states that were most like this one: a continuous cache (Grave and others, 2017).

The same numbers as nczip/native/state_cache.hpp, to the bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nczip.reference.arithmetic import ONE, Floats, exp2, lane_sum
from nczip.reference.token_weights import TokenWeights
from nczip.reference.transformer import ACTIVATION, CACHED, Integers, finite, nearest, steps_of

EVERY = 64  # states are remembered so many at a time, and the matrix moves as often
POSITIONS = 1 << 16  # of which the last are kept
SHARPNESS = np.float32(float.fromhex("0x1.8869bep+4"))  # 17 nats, in bits: of cosines
EVIDENCE = np.float32(64)  # states of mean 0 and variance 1 that were before the first
LEAST_VARIANCE = np.float32(2.0**-20)
FIRST_SHARE, LEAST_SHARE, MOST_SHARE = np.float32(0.02), np.float32(2.0**-11), np.float32(0.6)
SEEN = np.float32(60)  # tokens that a share is learnt from, at most
MOST_ADDED = np.float32(1.5 * 2**30)
SIZE_OF_ONE = np.float32(4096)  # what the state most alike counts


class StateCache:
    """``vocabulary``: the number of tokens; ``hidden``: that of reals in a state."""

    def __init__(self, vocabulary: int, hidden: int) -> None:
        self.keys: Integers = np.zeros((0, hidden))
        self.key_scale: Floats = np.zeros(0, np.float32)
        self.tokens: list[int] = []
        self.remembered = 0
        self.mean: Floats = np.zeros(hidden, np.float32)
        self.factor: Floats = np.ones(hidden, np.float32)
        self.sum: Floats = np.zeros(hidden, np.float32)
        self.squares: Floats = np.zeros(hidden, np.float32)
        self.shares: Floats = np.full(48, FIRST_SHARE)
        self.seen: Floats = np.zeros(48, np.float32)
        self.trusted = 0
        self.added: NDArray[np.int64] = np.zeros(vocabulary, np.int64)

    def standardised(self, states: Floats) -> tuple[Floats, Floats]:
        """States [n, hidden] with mean 0 and variance 1, by those so far; 1 over the length [n] of each."""
        x = (finite(states) - self.mean) * self.factor
        squares = lane_sum(x * x)
        known = squares > np.float32(2.0**-100)
        return x, np.where(known, ONE / np.sqrt(np.where(known, squares, ONE)), np.float32(0))

    def predict(self, state: Floats, weights: TokenWeights) -> None:
        """Adds to the weights of the tokens that followed, by how alike their states were to ``state``."""
        self.added[:] = 0
        if not self.tokens:
            return
        x, inverse = self.standardised(state[np.newaxis])
        query, scale = steps_of(x, ACTIVATION)
        sums = (self.keys @ query[0]).astype(np.float32)
        alike = sums * (scale * inverse) * self.key_scale
        alike = np.maximum(np.where(alike < ONE, alike, ONE), -ONE)
        best = alike.max()
        counts = nearest(exp2((alike - best) * SHARPNESS) * SIZE_OF_ONE).astype(np.int64)
        count = np.bincount(self.tokens, counts, len(self.added)).astype(np.int64)

        total = np.float32(weights.weights.sum())
        agreed = np.float32(weights.weights[count.argmax()]) / total
        row = int(min(max(best * np.float32(6), np.float32(0)), np.float32(5)))
        self.trusted = row * 8 + min(int(agreed * np.float32(8)), 7)
        share = self.shares[self.trusted]
        each = share / (ONE - share) * total / np.float32(counts.sum())
        self.added = np.minimum(count.astype(np.float32) * each, MOST_ADDED).astype(np.int64)
        weights.weights += self.added

    def learn(self, weights: TokenWeights, token: int) -> None:
        """``token`` came: the share that its like gets moves to what the cache had in its weight."""
        if not self.tokens:
            return
        i = self.trusted
        had = np.float32(self.added[token]) / np.float32(weights.weights[token])
        self.seen[i] = min(self.seen[i] + ONE, SEEN)
        share = self.shares[i] + (had - self.shares[i]) / (self.seen[i] + np.float32(1.5))
        self.shares[i] = min(max(share, LEAST_SHARE), MOST_SHARE)

    def remember(self, states: Floats, tokens: list[int]) -> None:
        """``EVERY`` states and the tokens that came after them."""
        x, inverse = self.standardised(states)
        keys, scale = steps_of(x, CACHED)
        self.keys = np.concatenate([self.keys, keys])[-POSITIONS:]
        self.key_scale = np.concatenate([self.key_scale, scale * inverse])[-POSITIONS:]
        self.tokens = [*self.tokens, *tokens][-POSITIONS:]
        self.remembered += len(states)
        for state in finite(states):
            self.sum = self.sum + state
            self.squares = self.squares + state * state
        n = np.float32(self.remembered) + EVIDENCE
        self.mean = self.sum / n
        variance = (self.squares + EVIDENCE) / n - self.mean * self.mean
        self.factor = (ONE / np.sqrt(np.maximum(variance, LEAST_VARIANCE))).astype(np.float32)
