"""Tiny models that the tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import converted, llama_vocabulary, tiny

from nczip.models.ncm import Model


@pytest.fixture(scope="session")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A llama with GPT-2's kind of tokenizer, which lacks four bytes."""
    return converted(tiny(), tmp_path_factory.mktemp("byte_level"))


@pytest.fixture(scope="session")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A Gemma 3 with SentencePiece's kind of tokenizer."""
    return converted(tiny("gemma3", llama_vocabulary()), tmp_path_factory.mktemp("pieces"))


@pytest.fixture
def ncm(byte_level: Model, tmp_path: Path) -> Path:
    """A model file of the test's own."""
    path = tmp_path / "tiny.ncm"
    path.write_bytes(byte_level.path.read_bytes())
    return path
