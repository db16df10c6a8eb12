"""From the tokens of a tokenizer to the vocabulary of a model file: byte strings in lexicographic order."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

NO_ID = 0xFFFFFFFF
_FALLBACK = re.compile("<0x([0-9A-Fa-f]{2})>")


def _byte_level() -> dict[str, int]:
    """GPT-2's alphabet (Radford and others, 2019): the printable character that stands for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF = _byte_level()


def bytes_of_byte_level(token: str) -> bytes | None:
    """The bytes that a token in GPT-2's alphabet stands for; None if it holds another character."""
    try:
        return bytes([_BYTE_OF[char] for char in token])
    except KeyError:
        return None


def bytes_of_pieces(token: str) -> bytes:
    """The bytes of a SentencePiece token (Kudo and Richardson, 2018), which writes a space as U+2581."""
    return token.replace("▁", " ").encode("utf-8", "surrogateescape")


def byte_of_fallback(token: str) -> int | None:
    """The byte that a token like ``<0x0A>`` spells; None if it is not of that form."""
    match = _FALLBACK.fullmatch(token)
    return None if match is None else int(match[1], 16)


def build(
    strings: Sequence[bytes | None], fallback: frozenset[int]
) -> tuple[list[bytes], npt.NDArray[np.uint32]]:
    """The entries in ascending order, and the token id of each, NO_ID for a byte that no token spells.

    Of tokens with the same bytes the one that is no byte fallback stays, else the lowest id.
    """
    best: dict[bytes, int] = {}
    for token, string in enumerate(strings):
        if string and (string not in best or (best[string] in fallback and token not in fallback)):
            best[string] = token
    for byte in range(256):
        best.setdefault(bytes([byte]), NO_ID)
    entries = sorted(best)
    return entries, np.array([best[entry] for entry in entries], np.uint32)
