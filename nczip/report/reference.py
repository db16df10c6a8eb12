"""What a language model alone makes of a text: what levels 7 to 9 are to be held against."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nczip import language, levels
from nczip.report.results import Input, Result

if TYPE_CHECKING:
    from nczip.container import Method

ALONE = 7  # the level that learns nothing: it codes what the model says, but for a hundredth of a bit a token
HOW = "not an archive"


def measure(
    chosen: Sequence[int],
    model: str | None,
    inputs: Sequence[Input],
    on_step: Callable[[str, str, int, int], None],
) -> list[Result]:
    """For each language level of ``chosen``, the bytes that the model alone takes for each input.

    Its windows and blocks are those of the level, its numbers those of nczip's integer arithmetic. There is
    no mixture, no header, and no block that goes another way. ``on_step`` gets the file's label, the
    result's name, the bytes done and the bytes in all.
    """
    id_ = language.find(model)
    results = []
    for item in inputs:
        with item.path.open("rb") as file:
            raw = memoryview(file.read(item.size))
        for level in chosen:
            if level not in levels.LANGUAGE_LEVELS:
                continue
            method = language.make_method(ALONE, id_, window_bits=language.WINDOW_BITS[level])
            known = language.load(method).model
            name = f"{known.name} alone, as -{level}"

            def step(done: int, label: str = item.label, name: str = name, size: int = item.size) -> None:
                on_step(label, name, done, size)

            size = _size(method, raw, levels.default_block_size(level), step)
            results.append(Result(name, item.label, item.size, size, known.size, computed=HOW))
    return results


def _size(method: Method, raw: memoryview, block_size: int, step: Callable[[int], None]) -> int:
    size = 0
    for start in range(0, len(raw), block_size):

        def within(done: int, _packed: int, start: int = start) -> None:
            step(start + done)

        packed = language.pack(method, raw[start : start + block_size], within, sys.maxsize)
        assert packed is not None
        size += len(packed)
    return size
