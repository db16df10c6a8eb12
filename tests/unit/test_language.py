"""Language models in the library: found, missing, damaged, listed, and the memory that blocks take."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
import speaking
from forge import SPOKEN

import nczip
from nczip import language, levels
from nczip.container import LANGUAGE

MIB = 1 << 20
every_level = pytest.mark.parametrize("level", levels.LANGUAGE_LEVELS)
(MODEL,) = speaking.MODELS.glob("*.ncm")
ID = speaking.ID


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models of the test's own, empty, and nothing in memory."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("NCZIP_MODEL_DIR", str(folder))
    monkeypatch.setattr(language, "_elsewhere", {})
    language._load.cache_clear()
    return folder


def test_progress_is_reported_while_a_block_becomes_tokens() -> None:
    """A first report before any work, one for each 64 KiB of text; the work can be stopped at any."""
    seen: list[tuple[int, int]] = []
    text = memoryview(SPOKEN * (1 + (160 << 10) // len(SPOKEN)))
    method = levels.default_method(7)

    def until(count: int) -> None:
        def step(raw: int, packed: int) -> None:
            seen.append((raw, packed))
            if len(seen) == count:
                raise InterruptedError

        seen.clear()
        with pytest.raises(InterruptedError):
            language.pack(method, text, step)

    until(1)
    assert seen == [(0, 0)]
    until(5)
    assert seen[:4] == [(0, 0)] * 4
    assert seen[4] > (0, 0)


@every_level
class TestModels:
    def test_named_by_name_hash_or_path(self, level: int, folder: Path) -> None:
        shutil.copy(MODEL, folder)
        shutil.copy(MODEL, folder / f"other-{'0' * 16}.ncm")
        with pytest.raises(nczip.ModelFileError, match="several"):
            nczip.compress(SPOKEN, level)
        first = nczip.compress(SPOKEN, level, model="tiny")
        for name in (ID[:5], str(MODEL)):
            assert nczip.compress(SPOKEN, level, model=name) == first
        assert nczip.decompress(first) == SPOKEN

    def test_a_path_elsewhere(self, level: int, folder: Path, tmp_path: Path) -> None:
        elsewhere = tmp_path / "it.ncm"
        shutil.copy(MODEL, elsewhere)
        archive = nczip.compress(SPOKEN, level, model=str(elsewhere))
        assert nczip.inspect(io.BytesIO(archive)).models == [ID]

    def test_missing(self, level: int, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(
            nczip.MissingModelError, match="nczip models fetch smollm2-135m gets one"
        ) as caught:
            nczip.compress(SPOKEN, level)
        assert caught.value.exit_status == 3
        target = tmp_path / "precious"
        target.write_bytes(b"precious")
        with pytest.raises(nczip.MissingModelError):
            nczip.open(target, "wb", level=level)
        assert target.read_bytes() == b"precious"

    def test_missing_when_it_is_needed_again(self, level: int, folder: Path) -> None:
        shutil.copy(MODEL, folder)
        archive = nczip.compress(SPOKEN, 5) + nczip.compress(SPOKEN, level)
        (folder / MODEL.name).unlink()
        language._load.cache_clear()
        with nczip.open(io.BytesIO(archive)) as reader:
            assert reader.read(len(SPOKEN)) == SPOKEN
            with pytest.raises(nczip.MissingModelError, match=ID):
                reader.read(1)
        with pytest.raises(nczip.MissingModelError, match=ID):
            nczip.salvage(io.BytesIO(archive), io.BytesIO())
        info = nczip.inspect(io.BytesIO(archive))
        assert (info.models, info.memory_needed) == ([ID], None)
        assert [frame.level for frame in info.frames] == [5, level]

    def test_blocks_that_need_none_come_out_without_it(self, level: int, folder: Path, noise: bytes) -> None:
        shutil.copy(MODEL, folder)
        content = b"".join(b"%d," % (i * i) for i in range(1000)) + noise[:5000]
        archive = nczip.compress(content, level, block_size=4000)
        assert nczip.inspect(io.BytesIO(archive)).frames[0].level == level
        (folder / MODEL.name).unlink()
        language._load.cache_clear()
        assert nczip.decompress(archive) == content

    def test_damaged(self, level: int, folder: Path) -> None:
        archive = nczip.compress(SPOKEN, level, model=str(MODEL))
        data = bytearray(MODEL.read_bytes())
        data[40_000] ^= 1
        (folder / MODEL.name).write_bytes(data)
        language._load.cache_clear()
        language._elsewhere.clear()
        with pytest.raises(nczip.ModelFileError, match="damaged"):
            nczip.compress(SPOKEN, level)
        with pytest.raises(nczip.ModelFileError, match="damaged"):
            nczip.decompress(archive)
        assert nczip.inspect(io.BytesIO(archive)).memory_needed is None


@every_level
class TestMemory:
    def test_a_limit_takes_tables_and_then_the_window(self, level: int) -> None:
        full = levels.plan(level)
        seen = []
        for limit in range(full.memory + MIB, 0, -MIB):
            try:
                plan = levels.plan(level, memory=limit)
            except nczip.MemoryLimitError:
                break
            assert plan.memory <= limit
            assert plan.method.id == LANGUAGE
            seen.append((plan.block_size, plan.method.config[:4]))
        assert seen == sorted(seen, reverse=True)
        assert len(seen) > 5
        assert [method.config[2:4] for method in language.smaller(levels.default_method(level))][-1] == bytes(
            [language.MIN_TABLE_BITS, language.MIN_WINDOW_BITS]
        )

    def test_what_a_limit_made_decodes_under_it(self, level: int) -> None:
        least = next(
            limit
            for limit in range(100 * MIB, 400 * MIB, MIB)
            if levels.plan(level, memory=400 * MIB).memory and _fits(level, limit)
        )
        archive = nczip.compress(SPOKEN * 20, level, memory=least, threads=2)
        for threads in (1, 2):
            assert nczip.decompress(archive, memory=least, threads=threads) == SPOKEN * 20

    def test_blocks_side_by_side_and_threads_share_it(self, level: int) -> None:
        method = levels.default_method(level)
        size = levels.default_block_size(level)
        around = levels.process_memory(method, size)
        for threads in (1, 2, 5):
            for memory in range(around + 40 * MIB, around + 900 * MIB, 90 * MIB):
                together = levels.together(method, size, threads, memory)
                assert 1 <= together <= levels.MOST_TOGETHER
                if together > 1:
                    taken = language.memory(method, size, together) + 2 * size * together
                    assert around + threads * taken <= memory
        assert levels.together(method, size, 1, None) >= levels.together(method, size, 8, None)

    def test_larger_blocks_than_may_be(self, level: int) -> None:
        with pytest.raises(ValueError, match="block size"):
            nczip.compress(SPOKEN, level, block_size=(16 << 20) + 1)


def _fits(level: int, limit: int) -> bool:
    try:
        levels.plan(level, memory=limit)
    except nczip.MemoryLimitError:
        return False
    return True


def test_progress_ends_at_the_whole_when_blocks_are_decoded_together() -> None:
    archive = nczip.compress(SPOKEN, 8, block_size=300)
    seen: list[tuple[int, int]] = []
    with nczip.open(io.BytesIO(archive), on_progress=lambda *done: seen.append(done)) as reader:
        reader.read()
    assert seen == sorted(seen)
    assert seen[-1][0] == len(SPOKEN)
