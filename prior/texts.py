"""The texts that start-up knowledge is learned from: fetched as pinned Debian packages, made into two things.

``python -m prior.texts fetch DIR`` puts the packages that ``sources.toml`` names into ``DIR/debs``.
``python -m prior.texts build DIR`` makes of them, the same bytes every time:

- ``DIR/train.bin``: all text in pieces of 64 KiB, each source's pieces spread evenly over the whole;
- ``DIR/train-binary.bin``: the same of what is not text; ``DIR/kinds/``: the same of each kind by itself;
- ``DIR/heldout/``: files that gave nothing to those, to measure on what was not learned;
- ``DIR/texts.json``: what went in, by source, and what the overlap guard took out.

Nothing that a corpus of ``nczip corpora`` holds may be in it, or results on that corpus would mean nothing.
Every paragraph that shares 48 bytes with a corpus file at hand is dropped, and ``build`` refuses to go
without. As not all corpora may be at hand, a paragraph that names a work of theirs is dropped too.
"""

import argparse
import fnmatch
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nczip.corpora import data_directory
from prior import overlap
from prior.extract import EXTRACTIONS, as_utf8, opened, wrapped

SOURCES = Path(__file__).with_name("sources.toml")
BINARY = "binary"
KINDS = ("prose", "reference", "technical", "markup", "code", BINARY)
PIECE = 65536  # bytes: long enough for the models to see a text's own words again, short enough to mix
COPIED_RUN = 160  # bytes, folded, that a held-out file and a text to learn from may not share


class PriorError(Exception):
    """The texts cannot be fetched or built; the message is one sentence for a person."""


@dataclass(frozen=True)
class Package:
    """A Debian package, pinned: ``sha256`` is of the .deb, for amd64 where it has an architecture."""

    name: str
    version: str
    sha256: str
    licence: str

    def find(self, debs: Path) -> Path | None:
        """The verified .deb in ``debs``, or None where it is missing. Raises PriorError on other bytes."""
        escaped = self.version.replace(":", "%3a")  # as apt writes an epoch into a file name
        for path in sorted(debs.glob(f"{self.name}_{escaped}_*.deb")):
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != self.sha256:
                    raise PriorError(f"{path.name} is not the pinned file: its sha256 differs")
            return path
        return None


@dataclass(frozen=True)
class Source:
    """Files of one package and what is taken from them.

    ``files`` and ``skip`` are globs over paths in the package, in which ``*`` matches ``/`` too. ``extract``
    names a function of ``extract.py``: ``plain``, ``html`` (to text), ``wiki`` (HTML to wiki markup),
    ``wordnet`` (synsets in which ``pattern`` is found) or ``regexp`` (the first group of every match of
    ``pattern``, one per line); compressed files, zip files and R data are opened before that. ``drop`` is a
    regular expression for lines to leave out. ``wrap`` breaks paragraphs to lines of that many characters,
    ``crlf`` ends lines as DOS does. ``cap`` is in bytes.
    """

    name: str
    kind: str
    package: str
    files: tuple[str, ...]
    cap: int
    skip: tuple[str, ...] = ()
    extract: str = "plain"
    pattern: str = ""
    drop: str = ""
    wrap: int = 0
    crlf: bool = False

    def takes(self, path: str) -> bool:
        return _matches(path, self.files) and not _matches(path, self.skip)

    def text(self, content: bytes) -> bytes:
        """What this source takes from one opened file; line ends are not yet those of DOS."""
        if self.kind == BINARY:
            return content
        text = as_utf8(EXTRACTIONS[self.extract](as_utf8(content), self.pattern))
        if self.drop:
            text = re.sub(rb"(?m)^(?:%b).*\n" % self.drop.encode(), b"", text)
        return wrapped(text, self.wrap) if self.wrap else text


@dataclass(frozen=True)
class Catalog:
    """What ``sources.toml`` says: packages by name, sources to learn from, files to hold out.

    ``works`` are names of works that the corpora hold, and of their authors and characters.
    """

    packages: Mapping[str, Package]
    train: tuple[Source, ...]
    heldout: tuple[Source, ...]
    works: tuple[str, ...]


def _matches(path: str, globs: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, glob) for glob in globs)


def catalog(path: Path = SOURCES) -> Catalog:
    """Reads and checks ``sources.toml``. Raises PriorError on what it could not mean."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    packages = {name: Package(name, **fields) for name, fields in table["packages"].items()}
    train = tuple(_source(entry) for entry in table["source"])
    heldout = tuple(_source(entry) for entry in table["heldout"])
    names = [source.name for source in train + heldout]
    if len(names) != len(set(names)):
        raise PriorError("two sources have one name")
    for source in train + heldout:
        if source.kind not in KINDS or source.extract not in EXTRACTIONS:
            raise PriorError(f"source {source.name} has a kind or an extraction that is not known")
        if source.package not in packages:
            raise PriorError(f"source {source.name} names a package that is not pinned: {source.package}")
    return Catalog(packages, train, heldout, tuple(table["works"]))


def _source(entry: Mapping[str, Any]) -> Source:
    tuples = {key: tuple(entry[key]) for key in ("files", "skip") if key in entry}
    return Source(**{**entry, **tuples})


# Packages


def fetch(packages: Iterable[Package], debs: Path) -> None:
    """Downloads the packages that ``debs`` lacks with ``apt-get`` and verifies every one.

    Raises PriorError with all that failed: a mirror keeps only a package's newest version, and an older one
    has to be put into ``debs`` by hand from Debian's archive of snapshots.
    """
    debs.mkdir(parents=True, exist_ok=True)
    failed = []
    for package in packages:
        if package.find(debs) is None:
            print(f"fetching {package.name} {package.version}", file=sys.stderr)
            wanted = f"{package.name}={package.version}"
            # As root, apt would warn of each package that its own user cannot write here.
            command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", wanted]
            done = subprocess.run(command, cwd=debs, check=False)
            if done.returncode or package.find(debs) is None:
                failed.append(wanted)
    if failed:
        raise PriorError(f"apt-get cannot download {', '.join(failed)}")


def members(deb: Path, wanted: Sequence[Source]) -> dict[str, bytes]:
    """The regular files of a .deb that a source takes, opened, by path without the leading ``./``.

    A file with the bytes of an earlier one is left out: packages carry copies, and a copy teaches nothing.
    """
    found: dict[str, bytes] = {}
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as unpacking,
        tarfile.open(fileobj=unpacking.stdout, mode="r|") as tape,
    ):
        for entry in tape:
            path = entry.name.removeprefix("./")
            # What lies in R data and zip files is matched by its own path, which is known once they are open.
            if entry.isreg() and (
                path.endswith((".rdb", ".zip")) or any(source.takes(path) for source in wanted)
            ):
                stream = tape.extractfile(entry)
                assert stream is not None  # a regular file has content
                found.update(opened(path, stream.read()))
    if unpacking.returncode:
        raise PriorError(f"dpkg-deb cannot read {deb.name}")
    once: dict[bytes, str] = {}
    for path in sorted(found):
        once.setdefault(hashlib.sha256(found[path]).digest(), path)
    return {path: found[path] for path in sorted(once.values())}


# Text


def pieces(text: bytes, size: int = PIECE) -> list[bytes]:
    """``text`` cut into pieces of at most ``size`` bytes, after a line's end where a piece has one."""
    cut = []
    start = 0
    while start < len(text):
        end = min(start + size, len(text))
        if end < len(text):
            end = text.rfind(b"\n", start, end) + 1 or end
        cut.append(text[start:end])
        start = end
    return cut


def spread(text: bytes, cap: int, size: int = PIECE) -> bytes:
    """At most ``cap`` bytes of ``text``: pieces from all over it, as its start need not be typical."""
    if len(text) <= cap:
        return text
    cut = pieces(text, size)
    kept = cap // size
    return b"".join(cut[index * len(cut) // kept] for index in range(kept)) if kept else cut[0][:cap]


def interleaved(texts: Sequence[bytes], size: int = PIECE) -> bytes:
    """All ``texts`` in pieces, each text's pieces at equal distances over the whole.

    Where a text's first piece stands goes by the golden ratio, so that small texts do not stand together.
    """
    placed = [
        ((index + rank * 0.6180339887498949 % 1) / len(cut), rank, index, piece)
        for rank, cut in enumerate(pieces(text, size) for text in texts)
        for index, piece in enumerate(cut)
    ]
    return b"".join(piece for *_, piece in sorted(placed))


# Commands


def build(catalog: Catalog, directory: Path, corpora: Path | None) -> None:
    """Makes the files that the module's docstring names in ``directory``, from its ``debs``.

    ``corpora`` is where the corpora lie that nothing may be shared with; None goes unguarded. Raises
    PriorError where packages or corpora are missing, or a source gives nothing.
    """
    guards = [] if corpora is None else overlap.corpus_files(corpora)
    if corpora is not None and not guards:
        raise PriorError("no corpora to guard against are at hand: set NCZIP_CORPORA, or say --unguarded")
    train, heldout = _read_sources(catalog, directory / "debs")
    record: dict[str, Any] = {"guarded_against": {path.name: path.stat().st_size for path in guards}}
    _guard(catalog, train, heldout, guards, record)
    for source in catalog.train:
        if source.crlf:  # last, as paragraphs are found by their line feeds
            train[source.name] = train[source.name].replace(b"\n", b"\r\n")
    outputs = {f"kinds/{kind}.bin": _mixed(catalog, train, {kind}) for kind in KINDS}
    outputs["train.bin"] = _mixed(catalog, train, set(KINDS) - {BINARY})
    outputs["train-binary.bin"] = outputs[f"kinds/{BINARY}.bin"]
    record["sha256"] = {name: hashlib.sha256(content).hexdigest() for name, content in outputs.items()}
    _write(directory, outputs, heldout, record)
    _print_summary(record)


def _mixed(catalog: Catalog, train: Mapping[str, bytes], kinds: set[str]) -> bytes:
    return interleaved([train[source.name] for source in catalog.train if source.kind in kinds])


def _read_sources(catalog: Catalog, debs: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Text by source, in the catalog's order: to learn from without the held-out files, and held out."""
    train = {source.name: b"" for source in catalog.train}
    heldout = {source.name: b"" for source in catalog.heldout}
    for package in catalog.packages.values():
        deb = package.find(debs)
        if deb is None:
            raise PriorError(f"{package.name} {package.version} is missing: fetch it first")
        print(f"reading {deb.name}", file=sys.stderr)
        wanted = [s for s in catalog.train + catalog.heldout if s.package == package.name]
        kept_out = [s for s in catalog.heldout if s.package == package.name]
        files = members(deb, wanted)
        for source in wanted:
            held = source in kept_out
            text = b"".join(
                source.text(content)
                for path, content in files.items()
                if source.takes(path) and (held or not any(other.takes(path) for other in kept_out))
            )
            if not text:
                raise PriorError(f"source {source.name} gives nothing")
            if held:
                heldout[source.name] = pieces(text, source.cap)[0]
            else:
                train[source.name] = spread(text, source.cap)
    return train, heldout


def _guard(
    catalog: Catalog,
    train: dict[str, bytes],
    heldout: dict[str, bytes],
    guards: Sequence[Path],
    record: dict[str, Any],
) -> None:
    """Takes out of the texts what they share with the corpora, and notes in ``record`` how much that was.

    ``train`` loses its copies of held-out text too, which are longer than the boilerplate that all texts of
    a kind share.
    """
    text_of = {s.name: train[s.name] for s in catalog.train if s.kind != BINARY}
    print(f"comparing with {len(guards)} files of the corpora", file=sys.stderr)
    shared = overlap.shared_hashes([*text_of.values(), *heldout.values()], overlap.parts(guards))
    copied = overlap.shared_hashes(text_of.values(), heldout.values(), COPIED_RUN)
    for role, sources, texts in ("train", catalog.train, train), ("heldout", catalog.heldout, heldout):
        record[role] = {}
        for source in sources:
            entry = {"kind": source.kind, "licence": catalog.packages[source.package].licence, "bytes": 0}
            if source.kind != BINARY:
                text = texts[source.name]
                steps: list[tuple[str, Callable[[bytes], bytes]]] = [
                    ("shared", lambda text: overlap.without_shared(text, shared)),
                    ("named", lambda text: overlap.without_named(text, catalog.works)),
                ]
                if role == "train":
                    steps.append(("heldout", lambda text: overlap.without_shared(text, copied, COPIED_RUN)))
                for reason, without in steps:
                    remaining = without(text)
                    entry[reason] = len(text) - len(remaining)
                    text = remaining
                texts[source.name] = text
            entry["bytes"] = len(texts[source.name])
            record[role][source.name] = entry


def _write(
    directory: Path, outputs: Mapping[str, bytes], heldout: Mapping[str, bytes], record: Mapping[str, Any]
) -> None:
    """Each under another name first, so that nobody ever finds half of one."""
    part = directory / ".heldout.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for name, text in heldout.items():
        (part / name).write_bytes(text)
    shutil.rmtree(directory / "heldout", ignore_errors=True)
    part.rename(directory / "heldout")
    (directory / "kinds").mkdir(exist_ok=True)
    described = json.dumps(record, indent=1) + "\n"
    for name, content in {**outputs, "texts.json": described.encode()}.items():
        whole = directory / f"{name}.part"
        whole.write_bytes(content)
        whole.replace(directory / name)


def _print_summary(record: Mapping[str, Any]) -> None:
    for role in "train", "heldout":
        for name, entry in record[role].items():
            dropped = ", ".join(
                f"{why} {entry[why]:,}" for why in ("shared", "named", "heldout") if entry.get(why)
            )
            print(f"{role:8} {entry['kind']:10} {name:24} {entry['bytes']:>10,}  {dropped}")
    for kind in KINDS:
        chosen = [entry for entry in record["train"].values() if entry["kind"] == kind]
        print(f"{kind:10} {sum(entry['bytes'] for entry in chosen):>10,}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m prior.texts", description="texts to learn a prior from")
    parser.add_argument("command", choices=["fetch", "build"])
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--unguarded", action="store_true", help="build without comparing with the corpora")
    arguments = parser.parse_args()
    try:
        known = catalog()
        if arguments.command == "fetch":
            fetch(known.packages.values(), arguments.directory / "debs")
        else:
            build(known, arguments.directory, None if arguments.unguarded else data_directory())
    except PriorError as error:
        print(f"prior.texts: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
