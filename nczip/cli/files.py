"""From the words of the command line to open files: which inputs there are, and where each output goes."""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from nczip.cli.options import Settings
from nczip.cli.output import Output, SkipError, open_output, standard_output
from nczip.cli.terminal import Console

SUFFIX = ".ncz"


@dataclass(frozen=True)
class Source:
    """One input. ``below`` is where it was found under a directory that was named, or its bare name."""

    path: Path | None  # None is standard input
    below: Path = Path()
    named: bool = True

    @property
    def name(self) -> str:
        return "(stdin)" if self.path is None else str(self.path)


def sources(files: tuple[str, ...], settings: Settings, console: Console) -> Iterator[Source]:
    """The inputs, in the order of the command line; below a directory in the order of their names."""
    for word in files or ("-",):
        path = Path(word)
        if word == "-":
            yield Source(None)
        elif settings.recursive and path.is_dir() and (settings.force or not path.is_symlink()):
            yield from _walk(path, settings, console)
        else:
            yield Source(path, Path(path.name))


def _walk(top: Path, settings: Settings, console: Console) -> Iterator[Source]:
    """What is worth doing below ``top``. What is not is nobody's mistake, so it is passed over in silence."""
    base = Path("" if top.name == ".." else top.name)

    def report(error: OSError) -> None:
        console.error(error.filename, error.strerror)

    for directory, names, files in os.walk(top, onerror=report):
        names.sort()
        for name in sorted(files):
            path = Path(directory, name)
            regular = path.is_file() and (settings.force or not path.is_symlink())
            if regular and wanted(path, settings):
                yield Source(path, base / path.relative_to(top), named=False)


def wanted(path: Path, settings: Settings) -> bool:
    """Whether the suffix is the one that the operation is for."""
    if settings.mode == "compress":
        return path.suffix != SUFFIX
    return path.suffix == SUFFIX and path.name != SUFFIX


def open_source(source: Source, settings: Settings) -> tuple[BufferedReader, os.stat_result | None]:
    """The input and, where it is a regular file, what the system knows about it. Raises SkipError."""
    if source.path is None:
        return _standard_input(settings), None
    # Nothing is made beside the input where the output is named, or where there is none.
    makes_sibling = settings.output is None and settings.mode in ("compress", "decompress")
    if makes_sibling and not settings.force and source.path.is_symlink():
        raise SkipError("is a symbolic link; -f follows it")
    info = source.path.stat()
    if stat.S_ISDIR(info.st_mode):
        raise SkipError("is a directory; -r takes the files below it")
    if stat.S_ISREG(info.st_mode):
        return source.path.open("rb"), info
    if makes_sibling:
        raise SkipError("is not a regular file; -c or -o reads it all the same")
    return source.path.open("rb"), None


def _standard_input(settings: Settings) -> BufferedReader:
    if sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed")
    if settings.mode != "compress" and sys.stdin.isatty() and not settings.force:
        raise OSError(errno.ENOTSUP, "no archive is read from a terminal, except with -f")
    # Closing this must not close the descriptor: "-" may be named twice.
    return open(sys.stdin.fileno(), "rb", closefd=False)


def open_target(source: Source, info: os.stat_result | None, settings: Settings, console: Console) -> Output:
    """Where the output for ``source`` goes."""
    decompressing = settings.mode == "decompress"
    nameless = source.path is None and settings.output is None and settings.output_dir is None
    if settings.output == "-" or nameless:
        output = standard_output()
        if not decompressing and not settings.force and sys.stdout.isatty():
            raise OSError(
                errno.ENOTSUP,
                "no archive is written to a terminal, except with -f",
                output.name,
            )
        read_from = os.fstat(sys.stdin.fileno()) if source.path is None else info
        regular = read_from is not None and stat.S_ISREG(read_from.st_mode)
        if read_from and regular and os.path.samestat(read_from, os.fstat(sys.stdout.fileno())):
            raise OSError(errno.EINVAL, "is the output too")
        return output
    if source.path is None and settings.output is None:
        raise OSError(errno.EINVAL, "has no name to give to a file below --output-dir; -o names one")
    target = Path(settings.output) if settings.output else _derived(source, settings)
    return open_output(target, like=info, force=settings.force, sparse=decompressing, console=console)


def _derived(source: Source, settings: Settings) -> Path:
    """The name of an output that was not named: a suffix more, or one less."""
    assert source.path is not None
    compressing = settings.mode == "compress"
    if not wanted(source.path, settings):
        if not compressing:
            raise SkipError(f"is not named NAME{SUFFIX}; -c or -o names the output")
        if not settings.force:
            raise SkipError(f"has the suffix {SUFFIX} already; -f compresses it once more")
    place = source.path
    if settings.output_dir is not None:
        place = settings.output_dir / source.below
        place.parent.mkdir(parents=True, exist_ok=True)
    return place.with_name(place.name + SUFFIX) if compressing else place.with_suffix("")
