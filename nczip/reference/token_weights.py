"""From a language model's logits to integer weights of its tokens, and what a block teaches its last layer.

The same numbers as nczip/native/token_weights.hpp, to the bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nczip.reference.arithmetic import Floats, exp2
from nczip.reference.transformer import LOG2_E, finite

TOP = np.float32(1 << 28)  # the weight of the likeliest token
NEVER = np.float32(-1e30)  # the bias of a token that the model does not know


class TokenWeights:
    """``silent`` [V]: which tokens the model does not know; ``rate``: of learning, in nats a token, or 0."""

    def __init__(self, silent: NDArray[np.bool_], rate: float) -> None:
        self.step = np.float32(rate) * LOG2_E  # of logits, which are in bits
        self.bias: Floats = np.where(silent, NEVER, np.float32(0))
        self.weights = np.zeros(len(silent), np.int64)

    def predict(self, logits: Floats) -> None:
        """Sets the tokens' weights, each at least 1, from ``logits`` [V] in bits."""
        biased = finite(finite(logits) + self.bias)
        self.weights = np.maximum(exp2(biased - biased.max()) * TOP, np.float32(1)).astype(np.int64)

    def sums(self) -> NDArray[np.int64]:
        """Partial sums [V + 1] of the tokens' weights."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.weights)])

    def update(self, token: int) -> None:
        """``token`` came: its bias rises by what it lacked in probability, the others fall by theirs."""
        factor = self.step / np.float32(self.weights.sum())
        self.bias = self.bias - self.weights.astype(np.float32) * factor
        self.bias[token] += self.step
