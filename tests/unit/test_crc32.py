"""The core's CRC-32, by multiplication and by tables, is zlib's."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable

import pytest

from nczip import _core

DATA = hashlib.shake_256(b"crc").digest(5000)


@pytest.mark.parametrize("crc32", [_core.crc32, _core.stages.crc32_by_tables])
def test_is_that_of_zlib(crc32: Callable[[bytes, int], int]) -> None:
    for size in (*range(200), 1000, 4095, 4096, 4900):
        for offset in (0, 1, 7):
            data = DATA[offset : offset + size]
            assert crc32(data, 0) == zlib.crc32(data)
            assert crc32(data, 0xDEADBEEF) == zlib.crc32(data, 0xDEADBEEF)


def test_of_any_buffer() -> None:
    assert _core.crc32(memoryview(bytearray(DATA))[100:]) == zlib.crc32(DATA[100:])
