"""The knowledge that blocks start from: whole, as the format page says, and never another one unnoticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zstandard

from nczip import _core, knowledge
from nczip.reference.known import LINE, LINES, weight_count
from nczip.reference.parts import PARTS

PACKED = knowledge.PATH.read_bytes()


@pytest.fixture
def fresh() -> Iterator[None]:
    knowledge._load.cache_clear()
    yield
    knowledge._load.cache_clear()


def test_the_file_unfolds_as_the_page_says() -> None:
    folded = np.frombuffer(zstandard.ZstdDecompressor().decompress(PACKED), np.uint8)
    known = np.frombuffer(knowledge.load(), np.uint8)
    lines = np.zeros((LINES // LINE, LINE), np.uint8)
    checks = folded[: LINES // 16]
    lines[:, :4] = checks.reshape(-1, 4)
    slots = np.zeros((LINES // 16, 15), np.uint8)
    used = checks != 0
    rows = folded[len(checks) : len(checks) + 15 * int(used.sum())]
    slots[used] = rows.reshape(-1, 15)
    lines[:, 4:] = slots.reshape(-1, 60)
    assert (known[:LINES] == lines.reshape(-1)).all()
    weights = folded[len(checks) + len(rows) :]
    assert (known[LINES:] == weights.reshape(2, -1).T.reshape(-1)).all()
    assert len(known) == _core.KNOWLEDGE_SIZE == LINES + 2 * sum(map(weight_count, PARTS.values()))


def test_it_fits_in_the_wheel() -> None:
    assert len(PACKED) <= 4_000_000


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "directory": lambda path: path.mkdir(),
    "symlink loop": lambda path: path.symlink_to(path),
    "empty": lambda path: path.touch(),
    "cut": lambda path: path.write_bytes(PACKED[:-1]),
    "flipped": lambda path: path.write_bytes(PACKED[:-1] + bytes([PACKED[-1] ^ 1])),
    "followed by junk": lambda path: path.write_bytes(PACKED + b"\0"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_installation(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: None
) -> None:
    path = tmp_path / "knowledge.zst"
    DAMAGES[damage](path)
    monkeypatch.setattr(knowledge, "PATH", path)
    with pytest.raises(OSError, match="not installed whole"):
        knowledge.load()


def test_threads_share_it(fresh: None) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert len({id(known.result()) for known in [threads.submit(knowledge.load) for _ in range(4)]}) == 1


def test_the_core_takes_no_other_size() -> None:
    with pytest.raises(ValueError, match="knowledge"):
        _core.MixtureEncoder(_core.mixture_config(4), b"content", b"\0" * 64)
    with pytest.raises(ValueError, match="KNOWLEDGE_SIZE"):
        _core.unfold_knowledge(bytearray(10), 0)


@pytest.mark.parametrize("folded", [0, 1, 1 << 21, _core.KNOWLEDGE_SIZE, _core.KNOWLEDGE_SIZE + 1, 1 << 63])
def test_the_core_takes_no_other_content(folded: int) -> None:
    with pytest.raises(ValueError, match="folded"):
        _core.unfold_knowledge(bytearray(_core.KNOWLEDGE_SIZE), folded)
