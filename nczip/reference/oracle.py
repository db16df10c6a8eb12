"""An independent range decoder: the queue coder of the package ``constriction`` (Bamler, 2022)."""

from __future__ import annotations

import constriction  # type: ignore[import-untyped]
import numpy as np

TOTAL = 1 << 24


class ConstrictionDecoder:
    """Reads packed bytes: the coder's 32-bit words, high byte first, without the zero bytes at the end."""

    def __init__(self, packed: bytes) -> None:
        padding = 8 + -len(packed) % 4  # whole words, and the first two even where nothing was coded
        words = np.frombuffer(packed + bytes(padding), ">u4").astype(np.uint32)
        self.decoder = constriction.stream.queue.RangeDecoder(words)

    def decode_bit(self, p1: int) -> bool:
        """One decision; ``p1``: the probability of a 1 in units of 2^-24. A 1 owns the lower part."""
        # Every symbol gets 1 and a share of the rest: given the counts less one, that is the counts.
        counts = np.array([p1 - 1, TOTAL - p1 - 1], np.float64)
        model = constriction.stream.model.Categorical(counts, perfect=False)
        return int(self.decoder.decode(model)) == 0
