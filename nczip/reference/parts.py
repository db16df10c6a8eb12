"""What each level of the mixture is made of: the one table of numbers that differ between levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nczip.reference.arithmetic import LANES


@dataclass(frozen=True)
class Parts:
    """The models of a level, in the order of the mixer's inputs, and how the mixer learns."""

    hashed: int  # byte contexts in the hash table
    known: int  # of these, the first so many start from the knowledge
    slot_share: int  # bytes of that table for a byte of the block
    pixels: int  # bit contexts in the plane of the record length
    direct: int  # contexts with a counter for each bit and no history
    matches: tuple[int, ...]  # least lengths of the match models, the longest first
    match_bits: int  # at most, log2 of the entries of a match model's table
    ssm: bool  # the online SSM is an input
    selectors: tuple[int, ...]  # values of each mixer selector
    apms: int  # secondary estimations; with any, the mixer has two layers
    apm_bits: int  # at most, log2 of the rows of each
    structure: bool  # lines, brackets and records are kept, and an empty history has no opinion
    rate_start: np.float32  # learning rate of the mixer
    rate_end: np.float32  # what it tends to

    @property
    def inputs(self) -> int:
        """Of the mixer: the models, a bias, and zeros up to a multiple of the lanes."""
        models = self.hashed + 2 + self.pixels + self.direct + len(self.matches) + self.ssm
        return -(-(models + 1) // LANES) * LANES


PARTS = {
    4: Parts(
        hashed=4,
        known=3,
        slot_share=8,
        pixels=0,
        direct=0,
        matches=(6,),
        match_bits=17,
        ssm=False,
        selectors=(256, 512),
        apms=0,
        apm_bits=0,
        structure=False,
        rate_start=np.float32(0.01),
        rate_end=np.float32(0.0015),
    ),
    5: Parts(
        hashed=10,
        known=6,
        slot_share=64,
        pixels=1,
        direct=0,
        matches=(7, 4),
        match_bits=22,
        ssm=False,
        selectors=(256, 512, 768, 4096, 1792, 4096),
        apms=2,
        apm_bits=12,
        structure=True,
        rate_start=np.float32(0.015),
        rate_end=np.float32(0.004),
    ),
    6: Parts(
        hashed=40,
        known=6,
        slot_share=256,
        pixels=4,
        direct=6,
        matches=(12, 7, 4),
        match_bits=22,
        ssm=True,
        selectors=(256, 512, 768, 4096, 1792, 4096, 4096, 4096, 4096),
        apms=3,
        apm_bits=16,
        structure=True,
        rate_start=np.float32(0.012),
        rate_end=np.float32(0.002),
    ),
}
