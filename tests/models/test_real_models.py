"""A real model: NCZIP_TEST_GGUF=FILE pytest tests/models/test_real_models.py."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from tiny_models import as_model_file

from nczip.models import fetch, gguf_source

GGUF = os.environ.get("NCZIP_TEST_GGUF")


@pytest.mark.skipif(not GGUF, reason="NCZIP_TEST_GGUF names no file")
def test_a_real_model(tmp_path: Path) -> None:
    source = gguf_source.read(Path(str(GGUF)))
    for known in fetch.catalog().values():
        if known.sha256 == source.sha256:
            break
    else:
        pytest.skip("a model of which nothing is known")
    path = tmp_path / "m.ncm"
    model = as_model_file(source, path, name=known.name)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == known.model
    text = Path(__file__).read_bytes() + "naïve 東京 🤽 é\x00\xc7".encode() + bytes(range(256))
    entries = model.encode(text)
    assert model.decode(entries) == text
    assert len(entries) < len(text) * 0.7
