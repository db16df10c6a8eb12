"""What a memory limit does to a level."""

from __future__ import annotations

import io

import pytest

import nczip
from nczip import _core, levels
from nczip.container import ZSTD

MIB = 1 << 20


def least(level: int) -> int:
    """Bytes that any level like this one can do with; a language model takes what it takes."""
    return (160 if level in levels.LANGUAGE_LEVELS else 64) * MIB


@pytest.mark.parametrize("level", levels.LEVELS)
class TestPlan:
    def test_no_limit(self, level: int) -> None:
        plan = levels.plan(level, threads=7)
        assert (plan.threads, plan.block_size) == (7, levels.default_block_size(level))
        assert plan.method == levels.default_method(level)

    def test_exactly_enough_changes_nothing(self, level: int) -> None:
        need = levels.memory(level, 3, "compress")
        assert levels.plan(level, threads=3, memory=need) == levels.plan(level, threads=3)

    def test_less_takes_threads_first_and_then_something_of_the_archive(self, level: int) -> None:
        one = levels.memory(level, 1, "compress")
        plan = levels.plan(level, threads=3, memory=one)
        assert (plan.threads, _archive(plan)) == (1, _archive(levels.plan(level)))
        plan = levels.plan(level, threads=3, memory=one - 1)
        assert _archive(plan) != _archive(levels.plan(level))

    def test_threads_never_change_the_archive(self, level: int) -> None:
        for memory in range(least(level), least(level) + 340 * MIB, 13 * MIB):
            plans = [levels.plan(level, threads=threads, memory=memory) for threads in (1, 2, 9)]
            assert len({_archive(plan) for plan in plans}) == 1

    def test_what_is_planned_fits(self, level: int) -> None:
        for memory in range(least(level), least(level) + 140 * MIB, 7 * MIB):
            plan = levels.plan(level, threads=4, memory=memory)
            one = max(
                levels.block_memory(method, plan.block_size, "compress", level) for method in plan.methods
            )
            others = levels.process_memory(plan.method, plan.block_size)
            assert others + plan.threads * one <= memory

    def test_nothing_fits(self, level: int) -> None:
        with pytest.raises(nczip.MemoryLimitError) as caught:
            levels.plan(level, memory=MIB)
        assert caught.value.limit == MIB
        assert caught.value.need > MIB
        with pytest.raises(nczip.MemoryLimitError):
            levels.plan(level, memory=64 * MIB, block_size=16 * MIB)

    def test_a_limited_archive_decodes(self, level: int, text: bytes) -> None:
        limit = levels.memory(level, 1, "compress") - 1
        archive = nczip.compress(text, level, memory=limit)
        assert nczip.decompress(archive, memory=limit) == text

    def test_content_shorter_than_a_block_gets_what_fits_it(self, level: int, text: bytes) -> None:
        """No worse for a limit that the content keeps to anyway, however it comes."""
        limit = levels.memory(level, 1, "compress") - 1
        limited = nczip.compress(text, level, memory=limit)
        assert limited == nczip.compress(text, level)
        sink = io.BytesIO()
        with nczip.Writer(sink, level, memory=limit, threads=3) as writer:
            for start in range(0, len(text), 7000):
                writer.write(text[start : start + 7000])
        assert sink.getvalue() == limited

    @pytest.mark.parametrize("share", [2, 3, 10])
    def test_any_plan_can_be_fitted_to_less_content(self, level: int, share: int) -> None:
        for memory in range(least(level), least(level) + 340 * MIB, 13 * MIB):
            plan = levels.plan(level, memory=memory)
            fitted = levels.plan(level, memory=memory, block_size=max(1, plan.block_size // share))
            assert fitted.memory <= memory
            assert fitted.method.config >= plan.method.config


def _archive(plan: levels.Plan) -> tuple[object, int]:
    return plan.methods, plan.block_size


def test_knowledge_counts_where_it_is_loaded() -> None:
    zstd, mixture = levels.default_method(3), levels.default_method(4)
    assert levels.process_memory(mixture, 0) - levels.process_memory(zstd, 0) == levels.KNOWLEDGE
    assert levels.KNOWLEDGE > _core.KNOWLEDGE_SIZE


def test_values_that_do_not_exist() -> None:
    for arguments in ({"level": 0}, {"level": 10}, {"level": 5, "threads": 0}, {"level": 5, "block_size": 0}):
        with pytest.raises(ValueError, match=r"level|threads|block size"):
            levels.plan(**arguments)
    with pytest.raises(ValueError, match="block size"):
        levels.plan(1, block_size=levels.MAX_BLOCK + 1)


def test_zstd_window() -> None:
    assert [levels.zstd_window(size) for size in (0, 1, 1024, 1025, 4 * MIB)] == [
        1024,
        1024,
        1024,
        2048,
        4 * MIB,
    ]
    assert levels.default_method(3).id == ZSTD
