"""The mixer: from many opinions of the next bit to one probability, in the logistic domain.

Gated linear mixing as in PAQ (Mahoney, 2005): each of several selectors picks one weight vector from its set.
In one layer the picked vectors share one sum and one error; in two layers each has its own, and a small final
vector combines their outputs.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from nczip.reference.arithmetic import LANES, Floats, lane_sum, squash

MAX_STRETCH = np.float32(20)  # bits: about the least probability that the coder can express
FINAL_CONTEXTS = 32  # vectors of the second layer, LANES weights each
FINAL_RATE = np.float32(0.0007)


def clamped(x: Floats) -> Floats:
    return np.minimum(np.maximum(x, -MAX_STRETCH), MAX_STRETCH)


class Mixer:
    """``values[k]``: how many weight vectors selector k has; ``inputs``: their length, a multiple of 16.

    ``initial``: all weights at the start, those of the first layer and then, with two, those of the second,
    which learns at ``final_rate``.
    """

    def __init__(
        self,
        values: tuple[int, ...],
        inputs: int,
        initial: Floats,
        two_layers: bool,
        final_rate: np.float32 = FINAL_RATE,
    ) -> None:
        self.bases = np.array([0, *accumulate(values)][:-1])
        first = sum(values) * inputs
        self.weights = initial[:first].reshape(-1, inputs).copy()
        self.two_layers = two_layers
        self.final_rate = final_rate
        self.sets = len(values)
        self.final = initial[first:].reshape(-1, LANES).copy()
        self.inputs = np.zeros(inputs, np.float32)
        self.outputs = np.zeros(LANES, np.float32)
        self.rows = self.bases
        self.final_context = 0

    def mix(self, inputs: Floats, selected: list[int], final_context: int) -> np.float32:
        """The stretched probability of a 1. ``final_context`` matters with two layers only."""
        self.inputs, self.rows, self.final_context = inputs, self.bases + selected, final_context
        products = self.weights[self.rows] * inputs
        if not self.two_layers:
            return np.float32(clamped(lane_sum(products.reshape(-1))))
        self.outputs = np.zeros(LANES, np.float32)
        self.outputs[: self.sets] = clamped(lane_sum(products))
        return np.float32(clamped(lane_sum(self.outputs * self.final[final_context])))

    def update(self, bit: int, p: np.float32, rate: np.float32) -> None:
        """``p``: the probability that ``mix`` led to, for the bit that came."""
        error = np.float32(bit) - p
        if not self.two_layers:
            self.weights[self.rows] += error * rate * self.inputs
            return
        steps = (np.float32(bit) - squash(self.outputs)) * rate
        self.weights[self.rows] += steps[: self.sets, None] * self.inputs
        self.final[self.final_context] += error * self.final_rate * self.outputs
