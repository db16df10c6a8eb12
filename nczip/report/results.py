"""Running codecs on files, and what came of it."""

import filecmp
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from nczip import __version__, corpora
from nczip.errors import NczipError
from nczip.report import peers

Number = TypeVar("Number", int, float)


class ReportError(NczipError):
    """There is nothing to measure, figures to quote cannot be read, or a plot cannot be drawn."""


@dataclass(frozen=True)
class Input:
    """A file to measure on. ``aliases`` are the names under which others quote figures for the same bytes."""

    label: str
    path: Path
    size: int  # of what is measured, at most the size of the file
    aliases: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Result:
    """One codec on one file, or on all of them. None stands for what is not known."""

    codec: str
    file: str
    raw: int
    packed: int | None = None  # bytes of the archive
    model: int = 0  # bytes of the model that decoding needs beside the archive
    compress_seconds: float | None = None
    decompress_seconds: float | None = None
    memory: int | None = None  # peak resident bytes, the larger of both directions
    came_back: bool | None = None
    quoted: bool = False
    trouble: str = ""
    knowledge: int = 0  # bytes of what comes with the program, without which decoding cannot be
    computed: str = ""  # why it is no archive's size, where it is none

    @property
    def bits_per_byte(self) -> float | None:
        return None if self.packed is None or not self.raw else 8 * self.packed / self.raw

    @property
    def ratio(self) -> float | None:
        return self.raw / self.packed if self.packed and self.raw else None

    @property
    def compress_speed(self) -> float | None:
        """Bytes of the original a second."""
        return self.raw / self.compress_seconds if self.compress_seconds and self.raw else None

    @property
    def decompress_speed(self) -> float | None:
        """Bytes of the original a second."""
        return self.raw / self.decompress_seconds if self.decompress_seconds and self.raw else None


@dataclass(frozen=True)
class Report:
    """All results, the files in the order measured, and where and with what that was."""

    inputs: tuple[Input, ...]
    results: tuple[Result, ...]
    machine: str
    versions: dict[str, str]
    absent: tuple[str, ...] = ()  # peers that were asked for and are not installed
    quoted_from: str = ""

    def of(self, label: str) -> list[Result]:
        return [result for result in self.results if result.file == label]

    @property
    def totals(self) -> list[Result]:
        """Each codec's sum over all files; one that lacks a file says so, for its sum would not compare."""
        return [self._total(codec) for codec in dict.fromkeys(result.codec for result in self.results)]

    def _total(self, codec: str) -> Result:
        mine = [result for result in self.results if result.codec == codec]
        whole = [result for result in mine if result.packed is not None and not result.trouble]
        total = Result(codec, "total", sum(item.size for item in self.inputs), quoted=mine[0].quoted)
        total = replace(total, computed=mine[0].computed)
        if len(whole) < len(self.inputs):
            return replace(total, trouble=f"only {len(whole)} of {len(self.inputs)} files")
        verdicts = {result.came_back for result in whole}
        return replace(
            total,
            packed=_sum(result.packed for result in whole),
            model=max(result.model for result in whole),
            knowledge=max(result.knowledge for result in whole),
            compress_seconds=_sum(result.compress_seconds for result in whole),
            decompress_seconds=_sum(result.decompress_seconds for result in whole),
            memory=max((result.memory for result in whole if result.memory is not None), default=None),
            came_back=verdicts.pop() if len(verdicts) == 1 else None,
        )

    @property
    def failed(self) -> bool:
        """Whether something that was run here went wrong or did not come back."""
        return any(result.trouble for result in self.results if not result.quoted)


def _sum(values: Iterable[Number | None]) -> Number | None:
    total: Number | None = None
    for value in values:
        if value is None:
            return None
        total = value if total is None else total + value
    return total


def gather(paths: Sequence[str], limit: int | None = None) -> list[Input]:
    """The files that ``paths`` name: files, every file below a directory, corpora that are on this machine.

    With ``limit``, only that many bytes from the start of each are measured, and the label says so.
    """
    aliases = _corpus_aliases()
    found = [item for path in paths for item in _files(path)]
    short = [label for label, _ in found]
    inputs = []
    for label, path in found:
        whole = path.stat().st_size
        size = whole if limit is None else min(whole, limit)
        name = label if short.count(label) == 1 else path.as_posix()
        also = aliases.get((path.name, whole), frozenset()) | {path.name}
        if size < whole:
            name, also = f"{name}[:{size}]", frozenset(f"{alias}[:{size}]" for alias in also)
        inputs.append(Input(name, path, size, also))
    if not inputs:
        raise ReportError(f"there is no file in {', '.join(paths)}")
    return inputs


def _files(path: str) -> Iterator[tuple[str, Path]]:
    """(label, path) of every file that one word of the command line stands for."""
    root = Path(path)
    if root.is_dir():
        for below in sorted(root.rglob("*")):
            if below.is_file() and not below.is_symlink():
                yield below.relative_to(root).as_posix(), below
    elif root.is_file():
        yield root.name, root
    elif (corpus := corpora.catalog().get(path)) is not None:
        present = corpora.present(corpus, corpora.data_directory())
        if len(present) < len(corpus.files):
            raise ReportError(f"the corpus {path} is not here; nczip corpora fetch {path} gets it")
        yield from ((file.name, file) for file in present)
    else:
        raise ReportError(f"{path}: no such file, directory or corpus")


def _corpus_aliases() -> dict[tuple[str, int], frozenset[str]]:
    """(name, size) of a corpus file that is the start of another -> ``whole[:size]``."""
    return {
        (file.name, file.size): frozenset({f"{corpus.prefix_of}[:{file.size}]"})
        for corpus in corpora.catalog().values()
        if corpus.prefix_of is not None
        for file in corpus.files
    }


def measure(
    codecs: Sequence[peers.Codec],
    inputs: Sequence[Input],
    *,
    runs: int = 1,
    seconds: float = 0.0,
    on_start: Callable[[str, str, int, int], None] | None = None,
) -> list[Result]:
    """Runs every codec on every file.

    The best of up to ``runs`` runs counts; no further one begins once they have taken ``seconds``.
    ``on_start`` gets the file's label, the codec's name, how many were done and how many there are.
    """
    results = []
    with tempfile.TemporaryDirectory(prefix="nczip-report-") as scratch:
        for number, item in enumerate(inputs):
            for place, codec in enumerate(codecs):
                if on_start is not None:
                    on_start(item.label, codec.name, number * len(codecs) + place, len(inputs) * len(codecs))
                directory = Path(scratch) / f"{number}-{place}"
                directory.mkdir()
                results.append(_measure_one(codec, item, directory, runs, seconds))
                shutil.rmtree(directory)
    return results


def _measure_one(codec: peers.Codec, item: Input, directory: Path, runs: int, seconds: float) -> Result:
    original = directory / "input"
    _copy_start(item.path, original, item.size)
    best = Result(codec.name, item.label, item.size, model=codec.model, knowledge=codec.knowledge)
    spent = 0.0
    for _ in range(runs):
        result = _round_trip(codec, best, directory)
        if result.trouble:
            return result
        assert result.compress_seconds is not None
        assert result.decompress_seconds is not None
        spent += result.compress_seconds + result.decompress_seconds
        best = replace(
            result,
            compress_seconds=min(result.compress_seconds, best.compress_seconds or result.compress_seconds),
            decompress_seconds=min(
                result.decompress_seconds, best.decompress_seconds or result.decompress_seconds
            ),
            memory=max(result.memory or 0, best.memory or 0) or None,
        )
        if spent >= seconds:
            break
    return best


def _round_trip(codec: peers.Codec, blank: Result, directory: Path) -> Result:
    packed, output = directory / codec.packed, directory / "output"
    # zpaq would add to an archive that is there, and 7z ask.
    packed.unlink(missing_ok=True)
    output.unlink(missing_ok=True)
    there = peers.run(codec, codec.compress, directory)
    if there.trouble or not packed.is_file():
        return replace(blank, trouble=f"compressing failed: {there.trouble or 'no archive was written'}")
    back = peers.run(codec, codec.decompress, directory)
    came_back = (
        not back.trouble and output.is_file() and filecmp.cmp(directory / "input", output, shallow=False)
    )
    trouble = (
        f"decompressing failed: {back.trouble}"
        if back.trouble
        else ""
        if came_back
        else "wrong bytes came back"
    )
    return replace(
        blank,
        packed=packed.stat().st_size,
        compress_seconds=there.seconds,
        decompress_seconds=back.seconds,
        memory=max(there.memory or 0, back.memory or 0) or None,
        came_back=came_back,
        trouble=trouble,
    )


def _copy_start(source: Path, target: Path, size: int) -> None:
    """A copy, so that every codec reads the same bytes under the same name."""
    with source.open("rb") as reader, target.open("wb") as writer:
        left = size
        while left and (piece := reader.read(min(left, 1 << 20))):
            writer.write(piece)
            left -= len(piece)


def machine() -> str:
    """The processor, the cores that this process may use, the path of the core taken, and the system."""
    from nczip import _core

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{_processor()}, {cores} core{'s' if cores > 1 else ''}, {_core.isa()}, {platform.system()}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions(codecs: Sequence[peers.Codec]) -> dict[str, str]:
    """Program -> version: nczip, Python, and every peer among ``codecs``."""
    here = {"nczip": __version__, "Python": platform.python_version()}
    return here | {codec.program[0]: codec.version() for codec in codecs if codec in peers.PEERS}
