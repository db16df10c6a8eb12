"""Test corpora by name: where they come from, what their bytes must be, where they lie on this machine.

Nothing of a corpus is shipped. The manifest ``data/corpora.json`` gives sizes, digests and public addresses.
A file whose digest nobody has published to us is pinned when it is first fetched: its SHA-256 goes into
``SHA256SUMS`` in the data directory, and every later look compares with that.
"""

import bz2
import gzip
import hashlib
import http.client
import json
import os
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from nczip.errors import NczipError
from nczip.places import user_data

MANIFEST = Path(__file__).parent / "data" / "corpora.json"
_PINS = "SHA256SUMS"
_PIECE = 1 << 20
_ARCHIVE_SLACK = 1 << 20  # an archive of hardly compressible files may exceed them by its directory
_PATIENCE = 60  # seconds without a byte from a server

Progress = Callable[[str, int, int | None], None]


class CorpusError(NczipError):
    """A corpus could not be fetched, or is not what its manifest says."""


@dataclass(frozen=True)
class CorpusFile:
    """One file: its path below the data directory, its size, and its digests by algorithm (maybe none)."""

    path: str
    size: int
    digests: Mapping[str, str]

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Corpus:
    """A named set of files, from the first of ``urls`` that answers or from the start of another corpus."""

    name: str
    about: str
    files: tuple[CorpusFile, ...]
    urls: tuple[str, ...] = ()
    prefix_of: str | None = None

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Finding:
    """What ``verify`` found of one file: what it was held against, and a problem unless it is right."""

    file: CorpusFile
    by: str
    problem: str = ""


def catalog(manifest: Path = MANIFEST) -> dict[str, Corpus]:
    """The corpora of a manifest, by name."""
    corpora = {}
    for name, entry in json.loads(manifest.read_text(encoding="utf-8")).items():
        files = tuple(
            CorpusFile(
                item["path"], item["size"], {k: v for k, v in item.items() if k not in ("path", "size")}
            )
            for item in entry["files"]
        )
        corpora[name] = Corpus(
            name, entry["about"], files, tuple(entry.get("urls", ())), entry.get("prefix_of")
        )
    return corpora


def data_directory() -> Path:
    """``$NCZIP_CORPORA``, else ``nczip/corpora`` where this platform keeps a user's data."""
    return user_data("corpora", "NCZIP_CORPORA")


def present(corpus: Corpus, directory: Path) -> list[Path]:
    """The paths of those files of ``corpus`` that lie in ``directory`` with the right size."""
    paths = [(directory / file.path, file.size) for file in corpus.files]
    return [path for path, size in paths if path.is_file() and path.stat().st_size == size]


def verify(corpus: Corpus, directory: Path) -> list[Finding]:
    """Reads every file of ``corpus`` and compares size and digests."""
    pins = _read_pins(directory)
    return [_verify_file(file, directory / file.path, pins.get(file.path)) for file in corpus.files]


def fetch(corpus: Corpus, directory: Path, *, among: Mapping[str, Corpus], on_progress: Progress) -> None:
    """Puts the files of ``corpus`` below ``directory``, each under its name only once it is verified.

    ``among`` is the catalog in which the corpus that this one is a prefix of is looked up. ``on_progress``
    gets the address, the bytes received and the bytes expected where the server says. Raises CorpusError.
    """
    if corpus.prefix_of is not None:
        _take_prefix(corpus, among[corpus.prefix_of], directory, among, on_progress)
        return
    directory.mkdir(parents=True, exist_ok=True)
    troubles = []
    for url in corpus.urls:
        try:
            with _downloaded(url, directory, corpus.size + _ARCHIVE_SLACK, on_progress) as archive:
                _unpack(archive, url, corpus, directory)
            return
        except CorpusError as error:
            troubles.append(str(error))
    raise CorpusError("; ".join(troubles))


def _take_prefix(
    corpus: Corpus, whole: Corpus, directory: Path, among: Mapping[str, Corpus], on_progress: Progress
) -> None:
    (source,) = whole.files
    (file,) = corpus.files
    if _verify_file(source, directory / source.path, _read_pins(directory).get(source.path)).problem:
        fetch(whole, directory, among=among, on_progress=on_progress)
    with (directory / source.path).open("rb") as stream:
        _install(stream, file, directory, cut=True)


@contextmanager
def _downloaded(url: str, directory: Path, limit: int, on_progress: Progress) -> Iterator[Path]:
    """The body behind ``url`` in a temporary file of ``directory``."""
    path = directory / f".download.{os.getpid()}.part"
    try:
        try:
            _download(url, path, limit, on_progress)
        except urllib.error.HTTPError as error:
            error.close()
            raise CorpusError(f"{url} answers {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            raise CorpusError(f"{url} cannot be reached: {error.reason}") from error
        except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
            raise CorpusError(f"{url} broke off: {error}") from error
        yield path
    finally:
        path.unlink(missing_ok=True)


def _download(url: str, path: Path, limit: int, on_progress: Progress) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "nczip"})
    with urllib.request.urlopen(request, timeout=_PATIENCE) as response, path.open("wb") as sink:
        length = response.headers.get("Content-Length", "")
        expected = int(length) if length.isdecimal() else None
        done = 0
        while piece := response.read(_PIECE):
            done += len(piece)
            if done > limit:
                raise CorpusError(f"{url} is larger than the {limit:,} bytes that this corpus can take")
            sink.write(piece)
            on_progress(url, done, expected)
    if expected is not None and done != expected:
        raise CorpusError(f"{url} broke off after {done:,} of {expected:,} bytes")


def _unpack(archive: Path, url: str, corpus: Corpus, directory: Path) -> None:
    """Installs the files of ``corpus`` out of ``archive``.

    A name inside the archive only selects a file of the manifest and never becomes a path, so that no archive
    can write anywhere else; what the manifest does not name is not read.
    """
    missing = {file.name: file for file in corpus.files}
    try:
        for name, stream in _members(archive, url):
            file = missing.pop(PurePosixPath(name).name, None)
            if file is not None:
                _install(stream, file, directory)
            if not missing:
                return
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise CorpusError(f"{url} is damaged: {error}") from error
    except (
        NotImplementedError,
        RuntimeError,
    ) as error:  # a zip method that is not known here, or an encrypted member
        raise CorpusError(f"{url} cannot be unpacked: {error}") from error
    raise CorpusError(f"{url} lacks {', '.join(missing)}")


def _members(archive: Path, url: str) -> Iterator[tuple[str, IO[bytes]]]:
    """The regular files in ``archive``, whose kind the end of ``url`` tells."""
    name = PurePosixPath(url).name
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as bundle:
            for info in bundle.infolist():
                if not info.is_dir():
                    with bundle.open(info) as stream:
                        yield info.filename, stream
    elif name.endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")):
        with tarfile.open(archive) as tape:
            for member in tape:
                stream_or_none = tape.extractfile(member) if member.isreg() else None
                if stream_or_none is not None:
                    with stream_or_none as stream:
                        yield member.name, stream
    elif name.endswith(".gz"):
        with gzip.open(archive) as unzipped:
            yield name.removesuffix(".gz"), cast(IO[bytes], unzipped)
    elif name.endswith(".bz2"):
        with bz2.open(archive) as stream:
            yield name.removesuffix(".bz2"), stream
    else:
        with archive.open("rb") as stream:
            yield name, stream


def _install(source: IO[bytes], file: CorpusFile, directory: Path, *, cut: bool = False) -> None:
    """Writes ``source`` as ``file``: verified, then renamed into place. ``cut``: no more than its size."""
    target = directory / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as sink:
            # One byte too many is enough to know, so nothing can unpack to more than this.
            left = file.size if cut else file.size + 1
            while left and (piece := source.read(min(left, _PIECE))):
                sink.write(piece)
                left -= len(piece)
            sink.flush()
            os.fsync(sink.fileno())
        finding = _verify_file(file, part, _read_pins(directory).get(file.path))
        if finding.problem:
            raise CorpusError(f"{file.name} {finding.problem}")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    if finding.by == "size":
        _pin(file, target, directory)


def _verify_file(file: CorpusFile, path: Path, pin: str | None) -> Finding:
    digests = dict(file.digests)
    by = ", ".join(digests) or "size"
    if not digests and pin is not None:
        digests, by = {"sha256": pin}, "sha256, recorded at first fetch"
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return Finding(file, by, "is not here")
    if size != file.size:
        return Finding(file, by, f"should have {file.size:,} bytes")
    for algorithm, wanted in digests.items():
        if _digest(path, algorithm) != wanted:
            return Finding(file, by, f"is not the known file: its {algorithm} differs")
    return Finding(file, by)


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _read_pins(directory: Path) -> dict[str, str]:
    """Path -> SHA-256, from the file that ``sha256sum -c`` also reads."""
    pins = {}
    with suppress(FileNotFoundError):
        for line in (directory / _PINS).read_text(encoding="utf-8").splitlines():
            digest, _, path = line.partition("  ")
            pins[path] = digest
    return pins


def _pin(file: CorpusFile, path: Path, directory: Path) -> None:
    with (directory / _PINS).open("a", encoding="utf-8") as pins:
        pins.write(f"{_digest(path, 'sha256')}  {file.path}\n")
