"""Content that the tests share."""

from __future__ import annotations

import hashlib

import pytest


@pytest.fixture(scope="session")
def text() -> bytes:
    """8,192 bytes that every method makes much smaller."""
    lines = (f"line {i}: the coder has seen {i * i % 97} bytes and {i * 7 % 31} bits\n" for i in range(200))
    return "".join(lines).encode()[:8192]


@pytest.fixture(scope="session")
def noise() -> bytes:
    """65,536 bytes that no method makes smaller."""
    return hashlib.shake_256(b"noise").digest(1 << 16)
