"""Samples of a block: cheap tests look at these instead of all of it."""

from __future__ import annotations

import math
from collections import Counter

SAMPLES = 8
SAMPLE_SIZE = 4 << 10
RANDOM_ENTROPY = 7.98  # bits per byte of the samples' histogram; 32 KiB of random bytes have 7.9944 +- 0.0003


def samples(raw: memoryview, count: int, size: int) -> list[bytes]:
    """So many pieces of a block, of ``size`` bytes each and evenly spread; or all of it, if it is no more."""
    if len(raw) <= count * size:
        return [bytes(raw)]
    stride = (len(raw) - size) // (count - 1)
    return [bytes(raw[i * stride : i * stride + size]) for i in range(count)]


def looks_random(raw: memoryview, entropy: float = RANDOM_ENTROPY) -> bool:
    """Whether samples of the bytes show neither repeats nor a preference for some byte values.

    Cheap beside any method: 32 KiB at most are looked at, first by zstd's fastest level.
    """
    sample = b"".join(samples(raw, SAMPLES, SAMPLE_SIZE))
    if len(sample) < SAMPLE_SIZE:  # too short to judge, and quick to try
        return False
    import zstandard

    if len(zstandard.ZstdCompressor(level=1).compress(sample)) < len(sample) * 0.99:
        return False
    # A sample of n bytes over 256 values shows about 255 / (2 n ln 2) bits less than its source has (Miller,
    # 1955).
    bias = 255 / (2 * len(sample) * math.log(2))
    counts = Counter(sample).values()
    return bias - sum(n / len(sample) * math.log2(n / len(sample)) for n in counts) >= entropy
