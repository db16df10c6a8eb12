"""The core against the slow reference of the mixture, on a slice of every corpus file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nczip import _core, knowledge
from nczip.reference.block_coder import decode_block, encode_block
from nczip.reference.oracle import ConstrictionDecoder

SLICE = 2048
CORPORA = Path(os.environ.get("NCZIP_CORPORA") or "absent")
FILES = [
    pytest.param(path, id=path.name)
    for directory in ("canterbury", "enwik8")
    for path in sorted((CORPORA / directory).glob("*"))
]


@pytest.mark.slow
@pytest.mark.parametrize("level", [4, 5, 6])
@pytest.mark.parametrize("path", FILES)
def test_core_and_reference_write_and_read_the_same(path: Path, level: int) -> None:
    content = path.read_bytes()
    # From the middle: how a file begins is seldom what the rest is like.
    start = max(len(content) // 2 - SLICE // 2, 0)
    content = content[start : start + SLICE]
    config = _core.mixture_config(level)
    encoder = _core.MixtureEncoder(config, content, knowledge.load())
    encoder.advance(len(content))
    packed = encoder.finish()
    assert encode_block(level, config[2], content) == packed
    assert decode_block(level, config[2], len(content), ConstrictionDecoder(packed)) == content
