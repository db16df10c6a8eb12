"""Files for the ``tokenizers`` library that know text and nothing else: no special tokens, no templates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def _byte_level(*, words: bool) -> dict[str, Any]:
    """GPT-2's alphabet; ``words``: and its way to cut text into words."""
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": words}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _one_after_the_other(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


# How text is cut before merging, by the names of llama.cpp (tokenizer.ggml.pre).
_GPT2 = _byte_level(words=True)
WORDS: Mapping[str, dict[str, Any]] = {
    "gpt-2": _GPT2,
    "smollm": _one_after_the_other({"type": "Digits", "individual_digits": True}, _GPT2),
    "qwen2": _one_after_the_other(_split(_QWEN2), _byte_level(words=False)),
    "llama-bpe": _one_after_the_other(_split(_LLAMA3), _byte_level(words=False)),
}
WHOLE_WORDS_FIRST = frozenset({"llama-bpe"})  # a word that is a token is that token, whatever the merges say

SPACES_TO_PIECES = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}


def write(
    ids: Mapping[str, int],
    merges: Iterable[tuple[str, str]],
    *,
    words: dict[str, Any] | None,
    normalizer: dict[str, Any] | None = None,
    whole: Sequence[str] = (),
    byte_fallback: bool = False,
    ignore_merges: bool = False,
) -> bytes:
    """A byte-pair encoding over ``ids``, the same bytes every time.

    ``whole`` are tokens of ``ids`` that are found in the text before it is cut. Merges whose parts or whole
    are no tokens are left out.
    """
    usable = [[left, right] for left, right in merges if {left, right, left + right} <= ids.keys()]
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": ids[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": False,
            }
            for token in sorted(whole, key=ids.__getitem__)
        ],
        "normalizer": normalizer,
        "pre_tokenizer": words,
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": byte_fallback,
            "ignore_merges": ignore_merges,
            "vocab": dict(sorted(ids.items(), key=lambda item: item[1])),
            "merges": usable,
        },
    }
    return json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def check(packed: bytes) -> None:
    """Raises ValueError or TypeError for a file with anything in it that ``write`` does not write.

    The library knows steps that make a text thousands of times longer. A model has no business with those.
    """
    tokenizer = json.loads(packed)
    steps = tokenizer["pre_tokenizer"]
    steps = steps["pretokenizers"] if steps is not None and steps["type"] == "Sequence" else [steps]
    for step in steps:
        if step is not None and step["type"] not in ("ByteLevel", "Digits", "Split"):
            raise ValueError(f"it cuts text by {step['type']!r}")
    if tokenizer["normalizer"] not in (None, SPACES_TO_PIECES):
        raise ValueError("it changes the text")
    if any(tokenizer[key] is not None for key in ("truncation", "padding", "post_processor")):
        raise ValueError("it adds or removes tokens")
    if tokenizer["model"]["type"] != "BPE" or tokenizer["model"]["dropout"] is not None:
        raise ValueError("it is no byte-pair encoding")
