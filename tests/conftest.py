"""Content that the tests share, and the language model that they use."""

from __future__ import annotations

import hashlib
import os
import signal

import pytest
import speaking

# Set as soon as the tests are collected: some of them make archives then.
os.environ["NCZIP_MODEL_DIR"] = str(speaking.MODELS)

# Programs that the tests start end at a signal, also where nohup or a shell's background began the tests.
for number, handler in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def text() -> bytes:
    """8,192 bytes that every method makes much smaller."""
    lines = (f"line {i}: the coder has seen {i * i % 97} bytes and {i * 7 % 31} bits\n" for i in range(200))
    return "".join(lines).encode()[:8192]


@pytest.fixture(scope="session")
def noise() -> bytes:
    """65,536 bytes that no method makes smaller."""
    return hashlib.shake_256(b"noise").digest(1 << 16)
