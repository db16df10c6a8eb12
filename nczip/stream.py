"""The functions most programs need: bytes to an archive and back, and a file that compresses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast, overload

from nczip import archive, levels
from nczip.base import BaseSource, BaseSources, all_given
from nczip.levels import DEFAULT_LEVEL
from nczip.reader import Reader
from nczip.workers import Progress
from nczip.writer import Writer

if TYPE_CHECKING:
    from typing_extensions import Buffer

File = str | os.PathLike[str] | BinaryIO


def compress(
    data: Buffer,
    level: int = DEFAULT_LEVEL,
    *,
    model: str | None = None,
    base: BaseSource | None = None,
    threads: int = 1,
    memory: int | None = None,
    block_size: int | None = None,
    device: str = "auto",
    verify: bool = True,
) -> bytes:
    """An archive of ``data``. Sizes are bytes; ``memory`` bounds the process. Raises as Writer does.

    ``model`` is for levels 7 to 9: the name, hash or path of a language model; None is the default one.
    ``base``: what the archive may build on, and decompressing will need: a Base, or bytes or the path of one.
    Of many small pieces that share one, each should be given the same Base.
    ``device`` and ``verify`` are for levels 7 and 8: cpu, cuda, or auto for cuda where there is a GPU.
    """
    from nczip import _core

    sink = _core.Gathered(memoryview(data).nbytes)
    with Writer(
        cast(BinaryIO, sink),
        level,
        model=model,
        base=base,
        threads=threads,
        memory=memory,
        block_size=block_size,
        device=device,
        verify=verify,
    ) as writer:
        writer.write(data)
    return sink.finish()


def decompress(
    data: Buffer,
    *,
    base: BaseSources | None = None,
    threads: int = 1,
    memory: int | None = None,
    device: str = "auto",
) -> bytes:
    """The content of an archive, which may have several frames. ``base`` and errors are as for Reader."""
    source = archive.InMemory(data)
    with Reader(source, base=base, threads=threads, memory=memory, device=device) as reader:
        return reader.read()


@overload
def open(
    file: File,
    mode: Literal["r", "rb"] = "rb",
    *,
    base: BaseSources | None = None,
    threads: int = 1,
    memory: int | None = None,
    device: str = "auto",
    on_progress: Progress | None = None,
) -> Reader: ...


@overload
def open(
    file: File,
    mode: Literal["w", "wb", "x", "xb"],
    *,
    level: int = DEFAULT_LEVEL,
    model: str | None = None,
    base: BaseSource | None = None,
    threads: int = 1,
    memory: int | None = None,
    block_size: int | None = None,
    device: str = "auto",
    verify: bool = True,
    on_progress: Progress | None = None,
) -> Writer: ...


def open(
    file: File,
    mode: Literal["r", "rb", "w", "wb", "x", "xb"] = "rb",
    *,
    level: int = DEFAULT_LEVEL,
    model: str | None = None,
    base: BaseSources | None = None,
    threads: int = 1,
    memory: int | None = None,
    block_size: int | None = None,
    device: str = "auto",
    verify: bool = True,
    on_progress: Progress | None = None,
) -> Reader | Writer:
    """A Reader of an archive, or with mode ``wb`` or ``xb`` a Writer of one.

    ``file`` is a path, or a binary file object, which is then read or written from where it stands and left
    open. Nothing is made or emptied for a Writer that cannot be. Raises OSError, and as Reader and Writer do.
    """
    if mode not in ("r", "rb", "w", "wb", "x", "xb"):
        raise ValueError(f"mode must be rb, wb or xb, not {mode!r}")
    bases = all_given(base)
    if mode[0] != "r":
        if len(bases) > 1:
            raise ValueError("an archive is made with one base")
        own = bases[0] if bases else None
        levels.plan(level, model=model, base=own, threads=threads, memory=memory, block_size=block_size)
    ours = isinstance(file, str | os.PathLike)
    binary = _opened(file, mode) if isinstance(file, str | os.PathLike) else file
    try:
        if mode[0] == "r":
            return Reader(
                binary,
                base=bases,
                threads=threads,
                memory=memory,
                device=device,
                on_progress=on_progress,
                close_source=ours,
            )
        return Writer(
            binary,
            level,
            model=model,
            base=own,
            threads=threads,
            memory=memory,
            block_size=block_size,
            device=device,
            verify=verify,
            on_progress=on_progress,
            close_sink=ours,
        )
    except BaseException:
        if ours:
            binary.close()
        raise


def _opened(path: str | os.PathLike[str], mode: str) -> BinaryIO:
    return cast(BinaryIO, Path(path).open(mode[0] + "b"))
