"""The fuzzer's seeds, and what it found before, without the fuzzer."""

from __future__ import annotations

import harness
import pytest

SEEDS = dict(harness.seeds())


@pytest.mark.parametrize("name", SEEDS)
def test_seed(name: str) -> None:
    harness.one_input(SEEDS[name])


@pytest.mark.parametrize("name", [name for name in SEEDS if name.startswith("unchecked")])
def test_without_checks_archives_still_read(name: str) -> None:
    with harness.no_checks():
        assert harness.read(SEEDS[name][1:])


@pytest.mark.parametrize(
    ("name", "step"),
    [("unchecked-full-1", 1), ("unchecked-full-4", 5), ("unchecked-solo-7", 3), ("unchecked-full-8", 9)],
)
def test_some_mutations(name: str, step: int) -> None:
    seed = SEEDS[name]
    for at in range(1, len(seed), step):
        for byte in (0, 1, 0x7F, 0x80, 0xFF, seed[at] ^ 1):
            harness.one_input(seed[:at] + bytes([byte]) + seed[at + 1 :])
