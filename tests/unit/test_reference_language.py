"""Blocks of a language model: what the core packed, the reference gives back."""

from __future__ import annotations

import pytest
from test_language_coder import WINDOW_BITS, packed, texts, tiny

from nczip.reference.language import decode_block
from nczip.reference.range_coder import RangeDecoder
from nczip.reference.transformer import Transformer


@pytest.mark.parametrize("level", [7, 8, 9])
@pytest.mark.parametrize("name", ["one token", "only silent bytes", "short", "mixed"])
def test_reference_decodes_what_the_core_packed(level: int, name: str) -> None:
    raw = tiny().spelled(texts()[name])
    coder = RangeDecoder(packed(level)[name])
    model = Transformer(*tiny().arguments)
    assert decode_block(model, level, 16, 1 << WINDOW_BITS, len(raw), coder) == raw
