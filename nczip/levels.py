"""What a level means: its method, its block size, its memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from nczip.container import (
    BASED,
    BASED_FORM,
    INFLATED,
    LANGUAGE,
    LANGUAGE_FORM,
    LINES,
    MAX_BLOCK,
    MAX_LANGUAGE_BLOCK,
    MIXTURE,
    NAMED_FORM,
    PLANES,
    RAW,
    RAW_FORM,
    TENSOR,
    ZSTD,
    Frame,
    Method,
    inner_of,
    innermost,
    wrapped,
)
from nczip.device import CPU, Choice
from nczip.errors import MemoryLimitError, NczipError, NewerVersionError

if TYPE_CHECKING:
    from nczip.base import Base

Direction = Literal["compress", "decompress"]

LEVELS = range(1, 10)
LANGUAGE_LEVELS = range(7, 10)
DEFAULT_LEVEL = 5
ZSTD_LEVELS = {1: 3, 2: 9, 3: 19}
PLANES_LEVELS = range(1, 5)  # numbers go by planes; at the other levels by tensors
TRANSFORMING_LEVELS = range(4, 10)  # zstd is for speed, and rebuilding deflate streams is slow beside it
MIN_INFLATED = 16 << 10  # bytes: smaller blocks have no streams worth the memory that inflating takes
OTHERWISE = 6  # the level of blocks that a language model has no use for
MIN_BLOCK = 64 << 10  # a memory limit shrinks blocks no further
PROCESS = 20 << 20  # bytes: the interpreter, its modules and the core, before any block
KNOWLEDGE = 20 << 20  # bytes: what a mixture starts from, as it is unfolded
LANGUAGE_BLOCKS = {7: 32 << 10, 8: 128 << 10, 9: 1 << 20}  # bytes
TOKENIZER = 80 << 20  # bytes: the tokenizer and its library
MOST_TOGETHER = 16  # blocks that pass through a language model side by side when decoding
TOGETHER_MEMORY = 1 << 30  # bytes that they take at most where no limit is given
BLOCK = 1 << 20  # bytes: what a block in flight takes beside all that is counted: its thread, small tables
MIN_ZSTD_WINDOW = 1 << 10


@dataclass(frozen=True, slots=True)
class Plan:
    """How a Writer works. ``method`` and ``block_size`` shape the archive, ``threads`` and ``on`` never."""

    level: int
    method: Method
    block_size: int
    threads: int
    otherwise: Method | None = None  # for blocks that a language model has no use for
    numbers: Method | None = None  # for blocks of numbers
    transforms: bool = False  # whether text may lose its line ends first, and deflate streams be inflated
    base: Base | None = None  # that methods name
    on: Choice = CPU

    @property
    def methods(self) -> tuple[Method, ...]:
        """What blocks may be packed by."""
        plain = (self.method,) if self.otherwise is None else (self.method, self.otherwise)
        others = self._for_numbers
        bare = tuple(map(innermost, plain))  # a base has its line ends and its streams as they are
        if self.transforms:
            others += tuple(wrapped(LINES, b"", method) for method in bare)
        if self.transforms and self.block_size >= MIN_INFLATED:
            inner = (_no_larger(method, self.block_size) for method in bare)
            others += tuple(wrapped(INFLATED, b"", method) for method in inner)
        return plain + others

    @property
    def _for_numbers(self) -> tuple[Method, ...]:
        if self.numbers is None:
            return ()
        if self.base is None or self.numbers.id != TENSOR:
            return (self.numbers,)
        from nczip import base

        return self.numbers, base.around(self.numbers, self.base)

    def solo_form(self, method: Method) -> int:
        """The form of the shortest solo frame that tells a decoder everything about a block."""
        if method.id == RAW:
            return RAW_FORM
        if method.id == LANGUAGE:
            return LANGUAGE_FORM
        default = default_method(self.level_of(method))
        if method.id == BASED:
            return BASED_FORM if inner_of(method) == default else NAMED_FORM
        return self.level_of(method) if method == default else NAMED_FORM

    def level_of(self, method: Method) -> int:
        """The level that one of the methods belongs to."""
        return OTHERWISE if method == self.otherwise else self.level

    @property
    def bases(self) -> tuple[Base, ...]:
        """Those that methods name."""
        return () if self.base is None else (self.base,)

    @property
    def memory(self) -> int:
        """Bytes that the process takes at most, about, to compress input of any length."""
        return self.memory_around + self.threads * max(
            block_memory(method, self.block_size, "compress", self.level, self._base_size)
            for method in self.methods
        )

    @property
    def memory_around(self) -> int:
        """Bytes of that beside the blocks in flight."""
        return max(
            process_memory(method, self.block_size, "compress", self.level, self._base_size)
            for method in self.methods
        )

    @property
    def _base_size(self) -> int:
        return 0 if self.base is None else len(self.base.content)


def default_method(level: int, model: str | None = None) -> Method:
    """The method that a level uses when nothing limits it; also what forms 1 to 6 of a solo frame mean.

    ``model`` names the language model of levels 7 to 9, as ``nczip.models.store.find`` takes it; None is the
    default one. Raises MissingModelError, ModelFileError.
    """
    if level in LANGUAGE_LEVELS:
        from nczip import language

        return language.make_method(level, language.find(model))
    if level in ZSTD_LEVELS:
        return Method(ZSTD)
    return _mixture(level, 0)


def usual_methods(bases: Sequence[Base] = ()) -> list[tuple[Method, ...]]:
    """The methods of frames that nothing limited, those with the default language model if it is there.

    Those with one of the bases come as well.
    """
    methods: dict[tuple[Method, ...], None] = {}
    for level in LEVELS:
        with contextlib.suppress(NczipError):
            full = plan(level)
            methods |= dict.fromkeys((full.methods, replace(full, transforms=False).methods))
            methods |= dict.fromkeys(plan(level, base=base).methods for base in bases)
    return list(methods)


def frame_methods(frame: Frame) -> tuple[Method, ...]:
    """The methods of a frame's blocks; the form of most solo frames names their only one."""
    if frame.methods:
        return frame.methods
    if frame.form == BASED_FORM:
        return (wrapped(BASED, frame.base, default_method(frame.level)),)
    return (Method(RAW) if frame.form == RAW_FORM else default_method(frame.form),)


def default_block_size(level: int) -> int:
    """Bytes of content in a block."""
    return LANGUAGE_BLOCKS.get(level, 4 << 20 if level in ZSTD_LEVELS else 16 << 20)


def largest_block(level: int) -> int:
    """The most bytes of content that a block may have."""
    return MAX_LANGUAGE_BLOCK if level in LANGUAGE_LEVELS else MAX_BLOCK


def plan(
    level: int,
    *,
    model: str | None = None,
    base: Base | None = None,
    threads: int = 1,
    memory: int | None = None,
    block_size: int | None = None,
) -> Plan:
    """Fits a level to a limit in bytes of the whole process: smaller tables, smaller blocks, fewer threads.

    Tables and blocks follow from the limit and not from ``threads``, so that threads never change the
    archive. ``model`` is for the levels of language models. Raises ValueError for a level or size that does
    not exist, MemoryLimitError when nothing fits, MissingModelError and ModelFileError.
    """
    if level not in LEVELS:
        raise ValueError(f"this version has levels {LEVELS[0]} to {LEVELS[-1]}, not {level}")
    if threads < 1:
        raise ValueError("threads must be at least 1")
    most = largest_block(level)
    if block_size is not None and not 1 <= block_size <= most:
        raise ValueError(f"the block size must be 1 to {most} bytes")
    size = block_size or default_block_size(level)
    method = default_method(level, model)
    otherwise = default_method(OTHERWISE) if method.id == LANGUAGE else None
    numbers = Method(PLANES if level in PLANES_LEVELS else TENSOR)
    transforms = level in TRANSFORMING_LEVELS
    full = _with_base(Plan(level, method, size, threads, otherwise, numbers, transforms, base))
    if memory is None:
        return full
    fitted = _fit(replace(full, threads=1), memory, shrink=block_size is None)
    around = fitted.memory_around
    return replace(fitted, threads=max(1, min(threads, (memory - around) // (fitted.memory - around))))


def _with_base(plan: Plan) -> Plan:
    """The plan whose methods, all but those of language models, work with its base."""
    if plan.base is None:
        return plan
    from nczip import base

    if plan.otherwise is not None:
        return replace(plan, otherwise=base.around(plan.otherwise, plan.base))
    return replace(plan, method=base.around(plan.method, plan.base))


def _fit(full: Plan, limit: int, *, shrink: bool) -> Plan:
    size = full.block_size
    while True:
        last = not shrink or size <= MIN_BLOCK
        plain = replace(full, block_size=size, transforms=False)
        plans = [replace(full, block_size=size), plain]
        left = limit - plain.memory_around
        tables_get_half = 7 * size <= left
        if last or tables_get_half:
            plans += _smaller(plain, max(1, left - 3 * size - BLOCK))
        for plan in (one for whole in plans for one in (whole, replace(whole, numbers=None))):
            need = plan.memory
            if need <= limit:
                return plan
        if last:
            raise MemoryLimitError(f"level {full.level} with blocks of {size} bytes", need, limit)
        size = max(MIN_BLOCK, size // 2)


def _smaller(plan: Plan, tables: int) -> Iterator[Plan]:
    """Plans with smaller tables, of so many bytes if they can be, the best first."""
    if plan.method.id == MIXTURE:
        yield replace(plan, method=_mixture(plan.level, tables))
    elif plan.method.id == BASED and innermost(plan.method).id == MIXTURE:
        for bits in range(31, 19, -1):  # the tables that all blocks begin with count as well: try
            yield _with_base(replace(plan, method=_mixture(plan.level, 1 << bits)))
    elif plan.method.id == LANGUAGE:
        from nczip import language

        otherwise = _mixture(OTHERWISE, tables)
        for method in language.smaller(plan.method):
            yield _with_base(replace(plan, method=method, otherwise=otherwise))


def memory(level: int, threads: int, direction: Direction, block_size: int | None = None) -> int:
    """Bytes that the process takes at most, about, for input of any length."""
    size = block_size or default_block_size(level)
    default = plan(level, block_size=size)
    one = max(block_memory(method, size, direction, level) for method in default.methods)
    return process_memory(default.method, size, direction, level) + threads * one


def decoding_memory(frame: Frame, threads: int = 1, bases: Sequence[Base] = ()) -> int:
    """Bytes that the process takes at most, about, to decode a frame.

    Raises NewerVersionError, MissingBaseError, and for a frame that may need a language model
    MissingModelError and ModelFileError.
    """
    size = frame.max_block
    around = one = 0
    for method in frame_methods(frame):
        base_size = 0
        if method.id == BASED:
            from nczip import base

            base_size = len(base.find(bases, method)[0].content)
        around = max(around, process_memory(method, size, base_size=base_size))
        one = max(one, block_memory(method, size, "decompress", base_size=base_size))
    return around + threads * one


def together(method: Method, block_size: int, threads: int, memory: int | None) -> int:
    """How many blocks of a language model each of some threads decodes side by side.

    ``block_size`` is the largest that they can be. ``memory`` is bytes of the whole process.
    """
    from nczip import language

    whole = TOGETHER_MEMORY
    if memory is not None:
        whole = memory - process_memory(method, block_size)
    count = MOST_TOGETHER
    while (
        count > 1 and 2 * block_size * count + language.memory(method, block_size, count) > whole // threads
    ):
        count -= 1
    return count


def process_memory(
    method: Method,
    block_size: int,
    direction: Direction = "decompress",
    level: int = 3,
    base_size: int = 0,
) -> int:
    """Bytes that the process takes beside the blocks in flight; one more is being filled or emptied.

    ``base_size``: bytes of the base that the method names, which counts with what is made of it.
    """
    if method.id == BASED:
        inner = innermost(method)
        return (
            base_size
            + _of_base(inner, block_size, direction, level, base_size)
            + process_memory(inner, block_size, direction, level)
        )
    method = innermost(method)
    if method.id == LANGUAGE:
        from nczip import language

        model = language.load(method).model
        return PROCESS + KNOWLEDGE + TOKENIZER + model.size + block_size
    return PROCESS + (KNOWLEDGE if method.id == MIXTURE else 0) + block_size


def block_memory(
    method: Method, raw_size: int, direction: Direction, level: int = 3, base_size: int = 0
) -> int:
    """Bytes for one block in flight: content, packed bytes, tables. ``level`` matters to zstd's compressor.

    A mixture needs the content twice and the packed bytes: its compressor where that is x86 code
    (native/targets.hpp), its decompressor as the core has it and as it is given out; and before it a copy of
    the base, if there is one. So do tensors, whose packed bytes grow by copies. Raises NewerVersionError for
    a configuration that this version does not know.
    """
    inner = inner_of(method)
    if inner is not None and method.id == LINES:  # the text with its line ends and without
        return 2 * raw_size + block_memory(inner, raw_size, direction, level)
    if inner is not None and method.id == INFLATED:  # its contents are the inflated; others before and after
        from nczip import inflating

        most = inflating.most_inflated(raw_size, inner)
        return 2 * raw_size + inflating.MEMORY + block_memory(inner, most, direction, level)
    contents = 3 if innermost(method).id in (MIXTURE, TENSOR) else 2
    return contents * raw_size + BLOCK + _tables(method, raw_size, direction, level, base_size)


def _of_base(inner: Method, raw_size: int, direction: Direction, level: int, base_size: int) -> int:
    """Bytes of what is made of a base, once for all blocks."""
    if inner.id == TENSOR:
        return 0
    if inner.id == ZSTD:
        if direction == "decompress":
            return 0
        from nczip.base import zstd_parameters

        return int(zstd_parameters(level, base_size).estimated_compression_context_size())
    from nczip import _core

    return _mixture_tables(inner, raw_size, base_size) + _core.index_memory(base_size)


def _mixture_tables(method: Method, raw_size: int, base_size: int | None = None) -> int:
    from nczip import _core

    try:
        if base_size is not None:
            raw_size = _core.primed_room(method.config, base_size, raw_size)
        return _core.mixture_memory(method.config, raw_size)
    except ValueError:
        raise NewerVersionError(NewerVersionError.UNKNOWN_MIXTURE) from None


def _tables(method: Method, raw_size: int, direction: Direction, level: int, base_size: int) -> int:
    if method.id == RAW:
        return 0
    if method.id == PLANES:
        from nczip import _core

        return _core.PLANES_MEMORY
    if method.id == BASED:
        inner = innermost(method)
        if inner.id == MIXTURE:
            return base_size + _mixture_tables(inner, raw_size, base_size)
        if inner.id == TENSOR:  # what it refers to may have to be read
            return raw_size + _tables(inner, raw_size, direction, level, 0)
        if direction == "decompress":
            return _tables(inner, raw_size, direction, level, 0)
        return _of_base(inner, raw_size, direction, level, base_size)  # tables may be copied
    if method.id == ZSTD:
        if direction == "decompress":
            return zstd_window(raw_size) + (512 << 10)  # and two of zstd's own blocks, tables
        import zstandard

        parameters = zstandard.ZstdCompressionParameters.from_level(ZSTD_LEVELS[level], source_size=raw_size)
        return int(parameters.estimated_compression_context_size())
    if method.id == LANGUAGE:
        from nczip import language

        return language.memory(method, raw_size)
    if method.id == TENSOR:
        from nczip import tensors

        return tensors.memory(raw_size)
    return _mixture_tables(method, raw_size)


def zstd_window(raw_size: int) -> int:
    """The largest window, in bytes, that a zstd block of this content size may ask for."""
    return max(MIN_ZSTD_WINDOW, 1 << (raw_size - 1).bit_length()) if raw_size else MIN_ZSTD_WINDOW


def _no_larger(method: Method, block_size: int) -> Method:
    """A mixture whose tables stay as they are for a block, though its streams inflate to more."""
    if method.id != MIXTURE:
        return method
    from nczip import _core

    return _mixture(method.config[1], _core.mixture_memory(method.config, block_size))


def _mixture(level: int, table_limit: int) -> Method:
    from nczip import _core

    return Method(MIXTURE, _core.mixture_config(level, table_limit))
