"""Bases from samples: what is chosen, how much of it, and the same every time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nczip
from nczip import training


def records(count: int, seed: int) -> list[bytes]:
    state = random.Random(seed)
    names = [b"Ada", b"Grace", b"Edsger", b"Barbara", b"Donald"]
    return [
        b'{"id":%d,"user":"%s","action":"%s","ok":true}\n'
        % (
            state.getrandbits(20),
            names[state.getrandbits(16) % 5],
            (b"login", b"logout", b"purchase")[state.getrandbits(16) % 3],
        )
        for _ in range(count)
    ]


@settings(deadline=None, max_examples=25)
@given(samples=st.lists(st.binary(max_size=200), min_size=1, max_size=20), size=st.integers(1, 2000))
def test_a_base_is_made_of_samples_and_no_larger_than_asked(samples: list[bytes], size: int) -> None:
    total = sum(map(len, samples))
    if not total:
        with pytest.raises(ValueError, match="empty"):
            nczip.train(samples, size)
        return
    base = nczip.train(iter(samples), size)
    assert len(base) == min(size, total)
    assert base == nczip.train(samples, size)
    assert set(base) <= set(b"".join(samples))


def test_what_many_samples_have_is_chosen_and_stands_last() -> None:
    odd = [random.Random(i).randbytes(80) for i in range(50)]
    common = [b"what all of them have in common, number %d" % i for i in range(50)]
    base = nczip.train([one for pair in zip(odd, common, strict=True) for one in pair], 120)
    assert base.endswith(tuple(common))
    assert not any(one[-40:] in base for one in odd)


def test_what_is_there_already_counts_for_less() -> None:
    """A hundred samples of one kind, and ten of another that says more that is new."""
    base = nczip.train(
        [b"the first kind is everywhere %d" % i for i in range(100)] + [b"OTHER-KIND"] * 10, 70
    )
    assert b"OTHER-KIND" in base
    assert b"the first kind is everywhere" in base


@pytest.mark.parametrize("level", [3, 5])
def test_records_gain_from_a_trained_base(level: int) -> None:
    base = nczip.Base(nczip.train(records(600, 1), 3000))
    test = records(30, 2)
    packed = [nczip.compress(one, level, base=base) for one in test]
    assert [nczip.decompress(one, base=base) for one in packed] == test
    assert sum(map(len, packed)) < 0.7 * sum(len(nczip.compress(one, level)) for one in test)


def test_long_samples_are_cut_up_behind_line_feeds() -> None:
    line = b"0123456789 " * 30 + b"\n"
    pieces = list(training._pieces(line * 100))
    assert b"".join(pieces) == line * 100
    assert {len(piece) % len(line) for piece in pieces} == {0}
    assert max(map(len, pieces)) <= training.PIECE
    assert [len(piece) for piece in training._pieces(bytes(10000))] == [4096, 4096, 1808]


def test_of_too_many_samples_evenly_spread_ones_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "MOST_SAMPLES", 1000)
    samples = [b"%04d" % i for i in range(1000)]
    assert training._few_enough(samples) == samples[::4]


def test_lines_keep_their_ends() -> None:
    assert training.lines(b"a\nb\r\nc") == [b"a\n", b"b\r\n", b"c"]


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="one byte"):
        nczip.train([b"sample"], 0)
