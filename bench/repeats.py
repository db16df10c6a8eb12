"""What skipping the language model could save: how much of a text is announced by repeats, and how rightly.

    python -m bench.repeats FILE...

A position is announced by so many tokens before it that stood somewhere before, found by the last four; what
followed them there is the guess.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from nczip import language, levels

CONTEXTS = (4, 8, 16, 32)  # tokens
SEED = 4  # tokens that find the place


def announced(tokens: Sequence[int]) -> dict[int, tuple[int, int]]:
    """By length of context: positions with a guess, and those where it is right."""
    found = dict.fromkeys(CONTEXTS, (0, 0))
    after: dict[tuple[int, ...], int] = {}
    guess = matched = 0  # where the guess stands, and how many tokens before it are the same
    for i, token in enumerate(tokens):
        if guess:
            right = tokens[guess] == token
            for length, (positions, rights) in found.items():
                if matched >= length:
                    found[length] = (positions + 1, rights + right)
            guess, matched = (guess + 1, matched + 1) if right else (0, 0)
        context = tuple(tokens[max(0, i + 1 - SEED) : i + 1])
        if not guess and context in after:
            guess = after[context]
            while (
                matched < guess
                and matched < max(CONTEXTS)
                and tokens[guess - 1 - matched] == tokens[i - matched]
            ):
                matched += 1
        after[context] = i + 1
    return found


def main(paths: Sequence[str]) -> None:
    """Prints a row a file, for the default model's tokens."""
    model = language.load(levels.default_method(8)).model
    print("file, tokens, then by context: share of positions announced, share of these right")
    for path in paths:
        tokens = list(memoryview(model.encode(Path(path).read_bytes()).data).cast("B").cast("I"))
        shares = (
            f"{length}: {positions / len(tokens):.1%} {rights / max(1, positions):.0%}"
            for length, (positions, rights) in announced(tokens).items()
        )
        print(Path(path).name, len(tokens), *shares, sep="  ")


if __name__ == "__main__":
    main(sys.argv[1:])
