"""Every archive that was ever written decodes; the code writes the bytes it wrote; a second reader agrees."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import make_vectors
import pytest
import second_reader

import nczip

FOLDERS = sorted(path.parent for path in make_vectors.NEXT.parent.glob("*/manifest.json"))
ARCHIVES = [
    pytest.param(folder, name, entry, id=f"{folder.name}/{name}")
    for folder in FOLDERS
    for name, entry in json.loads((folder / "manifest.json").read_text()).items()
]


def base_of(folder: Path) -> bytes:
    return (folder / "content" / "base.bin").read_bytes()


def methods(archive: bytes, tmp_path: Path) -> set[str]:
    path = tmp_path / "archive.ncz"
    path.write_bytes(archive)
    names = (block.method for frame in nczip.inspect(path).frames for block in frame.blocks)
    return {word for name in names for word in name.split()}


@pytest.mark.parametrize(("folder", "name", "entry"), ARCHIVES)
def test_decodes(folder: Path, name: str, entry: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    archive = (folder / name).read_bytes()
    content = (folder / entry["content"]).read_bytes()
    assert hashlib.sha256(archive).hexdigest() == entry["archive_sha256"]
    assert hashlib.sha256(content).hexdigest() == entry["content_sha256"]
    monkeypatch.setenv("NCZIP_MODEL_DIR", str(folder / "models"))
    assert nczip.decompress(archive, base=base_of(folder)) == content


@pytest.mark.parametrize(("folder", "name", "entry"), ARCHIVES)
def test_second_reader_agrees(
    folder: Path, name: str, entry: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = (folder / name).read_bytes()
    monkeypatch.setattr(second_reader, "BASES", {second_reader.name_of(base_of(folder)): base_of(folder)})
    if {"mixture", "language", "planes", "tensor"} & methods(archive, tmp_path):
        with pytest.raises(second_reader.PredictedError):
            second_reader.decode(archive)
    else:
        assert second_reader.decode(archive) == (folder / entry["content"]).read_bytes()


@pytest.mark.parametrize(
    "name", ["stored.ncz", "prose-1.ncz", "flushed-2.ncz", "record-1.ncz", "version-2.ncz"]
)
def test_second_reader_refuses_what_nczip_refuses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    base = make_vectors.BASE
    monkeypatch.setattr(second_reader, "BASES", {second_reader.name_of(base): base})
    archive = (make_vectors.NEXT / name).read_bytes()
    for bit in range(0, 8 * len(archive), 61):
        damaged = bytearray(archive)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(nczip.NczipError):
            nczip.decompress(damaged, base=base)
        with pytest.raises(second_reader.RefusedError):
            second_reader.decode(bytes(damaged))


@pytest.mark.parametrize("name", make_vectors.VECTORS)
def test_writer_still_writes_these_bytes(name: str, tmp_path: Path) -> None:
    content, make = make_vectors.VECTORS[name]
    archive = make()
    assert nczip.decompress(archive, base=make_vectors.BASE) == make_vectors.CONTENTS[content]
    if "zstd" not in methods(archive, tmp_path):  # whose bytes depend on the library's version
        assert archive == (make_vectors.NEXT / f"{name}.ncz").read_bytes()
