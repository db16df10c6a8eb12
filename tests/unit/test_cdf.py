"""The CDF, and the walk down a vocabulary's trie: the core against the reference and against fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, pairwise
from math import prod
from random import Random

import numpy as np
import pytest
from core_stages import PATHS, on_path

from nczip import _core
from nczip.reference.cdf import Walk, make_cdf

stages = _core.stages

BYTES = [bytes([value]) for value in range(256)]


def words(seed: int, count: int) -> list[bytes]:
    """Strings of few letters, so that many begin like others; and all single bytes."""
    random = Random(seed)
    strings = {bytes(random.choices(b"ab\xe2\x80", k=random.randint(2, 7))) for _ in range(count)}
    return sorted({*BYTES, *strings})


def sums_of(size: int, seed: int = 1, largest: int = 1000) -> list[int]:
    """Sums of masses from 1 to ``largest``, small ones more often than large ones."""
    random = Random(seed)
    return [0, *accumulate(int(largest ** random.random()) for _ in range(size))]


def packed(values: list[int]) -> bytes:
    return np.array(values, np.uint32).tobytes()


VOCABULARIES = {"bytes": BYTES, "few words": words(1, 50), "words": words(2, 3000)}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "sums",
    [sums_of(256), sums_of(5000, largest=800_000), [0, 1], [0, 1, 2**32 - 1], [0, 2**32 - 2, 2**32 - 1]],
    ids=["256", "5,000", "one", "first least", "last least"],
)
def test_cdf(sums: list[int], path: str) -> None:
    cum = make_cdf(sums)
    assert on_path(path, "make_cdf", packed(sums)) == packed(cum)
    assert cum[0] == 0
    assert cum[-1] == 2**24
    assert all(high > low for low, high in pairwise(cum))


def test_cdf_of_a_vocabulary_of_262144() -> None:
    cum = make_cdf(sums_of(262_144, largest=10_000))
    assert cum[-1] == 2**24
    assert min(np.diff(cum)) >= 1


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_walk_codes_a_token_at_its_probability(name: str) -> None:
    vocabulary = VOCABULARIES[name]
    sums = sums_of(len(vocabulary))
    for token in Random(3).sample(range(len(vocabulary)), 200):
        decisions = stages.spell(vocabulary, packed(sums), token)
        assert all(0 < one < total for one, total, _ in decisions)
        probability = prod(Fraction(one if yes else total - one, total) for one, total, yes in decisions)
        assert probability == Fraction(sums[token + 1] - sums[token], sums[-1])


@pytest.mark.parametrize("name", VOCABULARIES)
def test_walks_equal_the_reference(name: str) -> None:
    vocabulary = VOCABULARIES[name]
    sums = sums_of(len(vocabulary), seed=2)
    for token in Random(4).sample(range(len(vocabulary)), 60):
        decisions = []
        walk = Walk(vocabulary, sums)
        while not walk.done:
            decisions.append((walk.one, walk.total, walk.answer(token)))
            walk.take(walk.answer(token))
        assert walk.token == token
        assert stages.spell(vocabulary, packed(sums), token) == decisions
        assert stages.read(vocabulary, packed(sums), bytes(yes for *_, yes in decisions)) == token


@pytest.mark.parametrize("path", PATHS)
def test_every_path_spells_alike(path: str) -> None:
    vocabulary = VOCABULARIES["words"]
    sums = packed(sums_of(len(vocabulary)))
    token = vocabulary.index(b"ab")
    assert on_path(path, "spell", vocabulary, sums, token) == stages.spell(vocabulary, sums, token)


def test_single_bytes_take_eight_decisions_and_no_end() -> None:
    sums = packed(sums_of(256))
    for token in range(256):
        answers = [yes for *_, yes in stages.spell(BYTES, sums, token)]
        assert answers == [token >> bit & 1 == 1 for bit in reversed(range(8))]


def test_what_all_strings_agree_on_is_not_asked() -> None:
    """After "a": does it end? If not, "b" follows in all strings; is that the end? If not, "c" follows."""
    vocabulary = sorted([*BYTES, b"ab", b"abc"])
    sums = packed(list(range(len(vocabulary) + 1)))
    decisions = {
        string: stages.spell(vocabulary, sums, vocabulary.index(string)) for string in (b"a", b"ab", b"abc")
    }
    assert {string: len(asked) for string, asked in decisions.items()} == {b"a": 9, b"ab": 10, b"abc": 10}
    assert decisions[b"a"][8] == (1, 3, True)
    assert decisions[b"abc"][8:] == [(1, 3, False), (1, 2, False)]


@pytest.mark.parametrize("answers", [b"", b"\0" * 7, b"\0" * 9])
def test_too_few_or_too_many_answers(answers: bytes) -> None:
    with pytest.raises(ValueError, match="spell no token"):
        stages.read(BYTES, packed(sums_of(256)), answers)
