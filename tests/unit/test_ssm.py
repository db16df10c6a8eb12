"""The online SSM: the same sums in the reference and on every path, and a model that learns."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from core_stages import PATHS, on_path
from numpy.typing import NDArray

from nczip import _core
from nczip.reference.ssm import SPAN, Ssm, row_bits

stages = _core.stages

Sums = NDArray[np.uint32]

# Words, digits, line ends, letters above 127, and what is no text; several training steps, and a part of one.
CONTENT = (
    "Mrs Dash's 42 cats — naïve ones — saw 7 dogs.\r\nThe dogs saw Mrs Dash, the cats saw nothing.\n".encode()
    + bytes(range(0, 256, 7))
    + b"\0\0\0\1\0\0\0\2\0\0\0\3"
    + b"Mrs Dash saw the cats. "
)
LEAST_BITS, MOST_BITS = 12, 17


def sums_of(content: bytes, bits: int = LEAST_BITS, path: str = "") -> Sums:
    """The sums before each byte and after the last."""
    packed = on_path(path, "ssm", bits, content) if path else stages.ssm(bits, content)
    return np.frombuffer(packed, np.uint32).reshape(-1, 257)


def cost(content: bytes, sums: Sums) -> float:
    """Bits per byte."""
    at = np.arange(len(content)), np.frombuffer(content, np.uint8)
    mass = np.diff(sums.astype(np.int64), axis=1)[at]
    return float(-np.log2(mass / sums[:-1, 256]).mean())


@pytest.mark.parametrize("bits", [LEAST_BITS, MOST_BITS, 3], ids=lambda bits: f"{2**bits} rows")
def test_the_core_equals_the_reference(bits: int) -> None:
    """Also where the hashed contexts share eight rows, so that a training step meets a row several times."""
    assert len(CONTENT) > 10 * SPAN
    assert len(CONTENT) % SPAN
    model = Ssm(bits)
    expected = [model.predict()]
    for byte in CONTENT:
        model.update(byte)
        expected.append(model.predict())
    assert np.array_equal(sums_of(CONTENT, bits), expected)


@pytest.mark.parametrize("path", PATHS)
def test_every_path_gives_the_same_sums(path: str, text: bytes) -> None:
    """A change of any bit changes what archives mean."""
    sums = sums_of(text, path=path)
    assert hashlib.sha256(sums.astype("<u4").tobytes()).hexdigest()[:16] == "fa968b3a5a81ff9d"


@pytest.mark.parametrize("kind", ["text", "noise", "zeros", "two values"])
def test_sums_are_never_out_of_range(kind: str, text: bytes, noise: bytes) -> None:
    content = {"text": text, "noise": noise[:8192], "zeros": bytes(8192), "two values": b"\0\xff" * 4096}[
        kind
    ]
    sums = sums_of(content).astype(np.int64)
    assert np.all(sums[:, 0] == 0)
    assert np.all(np.diff(sums, axis=1) >= 1)
    assert sums[:, 256].max() <= 2**30 + 256


def test_it_learns(text: bytes, noise: bytes) -> None:
    assert cost(text, sums_of(text)) < 2.0
    assert cost(bytes(4096), sums_of(bytes(4096))) < 0.05
    assert cost(noise[:8192], sums_of(noise[:8192])) < 8.5


def test_it_starts_with_no_opinion() -> None:
    assert np.all(np.diff(sums_of(b"")[0].astype(np.int64)) == 2**22 + 1)


def test_more_bytes_get_more_rows() -> None:
    sizes = [0, 1, 4095, 4096, 4097, 10**5, 131_071, 131_072, 10**9]
    assert [stages.ssm_row_bits(size) for size in sizes] == [row_bits(size) for size in sizes]
    assert stages.ssm_row_bits(0) == LEAST_BITS
    assert stages.ssm_row_bits(10**9) == MOST_BITS
