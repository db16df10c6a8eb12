"""The model that golden archives of levels 7 to 9 need can be made again, byte for byte."""

from __future__ import annotations

import speaking

from nczip.models.ncm import Model


def test_the_file_is_made_again() -> None:
    name, data = speaking.model_file()
    assert (speaking.MODELS / name).read_bytes() == data
    assert len(data) < 100_000


def test_it_has_words_for_what_the_tests_compress(text: bytes) -> None:
    (path,) = speaking.MODELS.glob("*.ncm")
    assert len(Model.open(path).encode(text)) < len(text) / 2
