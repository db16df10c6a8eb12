"""What a level means: its method, its block size, its memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nczip.container import MAX_BLOCK, MIXTURE, RAW, RAW_FORM, ZSTD, Frame, Method
from nczip.errors import MemoryLimitError, NewerVersionError

Direction = Literal["compress", "decompress"]

LEVELS = range(1, 7)
DEFAULT_LEVEL = 5
ZSTD_LEVELS = {1: 3, 2: 9, 3: 19}
MIN_BLOCK = 64 << 10  # a memory limit shrinks blocks no further
PROCESS = 20 << 20  # bytes: the interpreter, its modules and the core, before any block
KNOWLEDGE = 20 << 20  # bytes: what a mixture starts from, as it is unfolded
MIN_ZSTD_WINDOW = 1 << 10


@dataclass(frozen=True, slots=True)
class Plan:
    """How a Writer works. ``method`` and ``block_size`` shape the archive; ``threads`` never does."""

    level: int
    method: Method
    block_size: int
    threads: int

    @property
    def is_default(self) -> bool:
        """Whether the level alone tells a decoder everything."""
        return self.method == default_method(self.level)

    @property
    def memory(self) -> int:
        """Bytes that the process takes at most, about, to compress input of any length."""
        one = block_memory(self.method, self.block_size, "compress", self.level)
        return process_memory(self.method, self.block_size) + self.threads * one


def default_method(level: int) -> Method:
    """The method that a level uses when nothing limits it; also what forms 1 to 6 of a solo frame mean."""
    if level in ZSTD_LEVELS:
        return Method(ZSTD)
    return _mixture(level, 0)


def frame_methods(frame: Frame) -> tuple[Method, ...]:
    """The methods of a frame's blocks; a solo frame's form names its only one."""
    if frame.solo is None:
        return frame.methods
    return (Method(RAW) if frame.form == RAW_FORM else default_method(frame.form),)


def default_block_size(level: int) -> int:
    """Bytes of content in a block."""
    return 4 << 20 if level in ZSTD_LEVELS else 16 << 20


def plan(level: int, *, threads: int = 1, memory: int | None = None, block_size: int | None = None) -> Plan:
    """Fits a level to a limit in bytes of the whole process: smaller tables, smaller blocks, fewer threads.

    Tables and blocks follow from the limit and not from ``threads``, so that threads never change the
    archive. Raises ValueError for a level or size that does not exist, MemoryLimitError when nothing fits.
    """
    if level not in LEVELS:
        raise ValueError(f"this version has levels {LEVELS[0]} to {LEVELS[-1]}, not {level}")
    if threads < 1:
        raise ValueError("threads must be at least 1")
    if block_size is not None and not 1 <= block_size <= MAX_BLOCK:
        raise ValueError(f"the block size must be 1 to {MAX_BLOCK} bytes")
    size = block_size or default_block_size(level)
    method = default_method(level)
    if memory is not None:
        size, method = _fit(level, memory, size, shrink=block_size is None)
        one = block_memory(method, size, "compress", level)
        threads = max(1, min(threads, (memory - process_memory(method, size)) // one))
    return Plan(level, method, size, threads)


def _fit(level: int, limit: int, size: int, *, shrink: bool) -> tuple[int, Method]:
    default = default_method(level)
    while True:
        last = not shrink or size <= MIN_BLOCK
        methods = [default]
        left = limit - process_memory(default, size)
        tables_get_half = 7 * size <= left
        if default.id == MIXTURE and (last or tables_get_half):
            methods.append(_mixture(level, max(1, left - 3 * size)))
        for method in methods:
            need = Plan(level, method, size, 1).memory
            if need <= limit:
                return size, method
        if last:
            raise MemoryLimitError(f"level {level} with blocks of {size} bytes", need, limit)
        size = max(MIN_BLOCK, size // 2)


def memory(level: int, threads: int, direction: Direction, block_size: int | None = None) -> int:
    """Bytes that the process takes at most, about, for input of any length."""
    size = block_size or default_block_size(level)
    method = default_method(level)
    return process_memory(method, size) + threads * block_memory(method, size, direction, level)


def decoding_memory(frame: Frame, threads: int = 1) -> int:
    """Bytes that the process takes at most, about, to decode a frame; raises NewerVersionError."""
    size = frame.max_block
    return max(
        process_memory(method, size) + threads * block_memory(method, size, "decompress")
        for method in frame_methods(frame)
    )


def process_memory(method: Method, block_size: int) -> int:
    """Bytes that the process takes beside the blocks in flight; one more is being filled or emptied."""
    return PROCESS + (KNOWLEDGE if method.id == MIXTURE else 0) + block_size


def block_memory(method: Method, raw_size: int, direction: Direction, level: int = 3) -> int:
    """Bytes for one block in flight: content, packed bytes, tables. ``level`` matters to zstd's compressor.

    A mixture's compressor may need the content twice, if that is x86 code (native/targets.hpp). Raises
    NewerVersionError for a configuration that this version does not know.
    """
    contents = 2 if method.id == MIXTURE and direction == "compress" else 1
    return (contents + 1) * raw_size + _tables(method, raw_size, direction, level)


def _tables(method: Method, raw_size: int, direction: Direction, level: int) -> int:
    if method.id == RAW:
        return 0
    if method.id == ZSTD:
        if direction == "decompress":
            return zstd_window(raw_size) + (512 << 10)  # and two of zstd's own blocks, tables
        import zstandard

        parameters = zstandard.ZstdCompressionParameters.from_level(ZSTD_LEVELS[level], source_size=raw_size)
        return int(parameters.estimated_compression_context_size())
    from nczip import _core

    try:
        return _core.mixture_memory(method.config, raw_size)
    except ValueError:
        raise NewerVersionError(NewerVersionError.UNKNOWN_MIXTURE) from None


def zstd_window(raw_size: int) -> int:
    """The largest window, in bytes, that a zstd block of this content size may ask for."""
    return max(MIN_ZSTD_WINDOW, 1 << (raw_size - 1).bit_length()) if raw_size else MIN_ZSTD_WINDOW


def _mixture(level: int, table_limit: int) -> Method:
    from nczip import _core

    return Method(MIXTURE, _core.mixture_config(level, table_limit))
