"""Small archives of every kind, with every bit flipped and cut at every byte: an error each time."""

from __future__ import annotations

import hashlib
import io

import pytest

import nczip

TEXT = b"one two three four five six seven eight nine ten, " * 6
NOISE = hashlib.shake_256(b"damage").digest(250)


def _archives() -> dict[str, tuple[bytes, bytes]]:
    made = {"empty": (b"", nczip.compress(b"")), "stored": (NOISE, nczip.compress(NOISE))}
    for name, level in (("zstd", 2), ("mixture", 4), ("language", 7)):
        made[f"{name}, solo"] = (TEXT, nczip.compress(TEXT, level))
        content = TEXT[:150] + NOISE[:160]
        made[f"{name}, full"] = (content, nczip.compress(content, level, block_size=150))
    first, second = made["zstd, full"], made["mixture, solo"]
    made["two frames"] = (first[0] + second[0], first[1] + second[1])
    return made


ARCHIVES = _archives()
every_archive = pytest.mark.parametrize("name", ARCHIVES)


def test_kinds_of_blocks() -> None:
    blocks = {
        name: [block.method for frame in nczip.inspect(io.BytesIO(archive)).frames for block in frame.blocks]
        for name, (_, archive) in ARCHIVES.items()
    }
    assert blocks["stored"] == ["raw"]
    assert blocks["zstd, solo"] == ["zstd"]
    assert blocks["mixture, solo"] == ["mixture"]
    assert {"zstd", "raw"} == set(blocks["zstd, full"])
    assert {"mixture", "raw"} == set(blocks["mixture, full"])
    assert blocks["language, solo"] == ["language"]
    assert {"language", "raw"} == set(blocks["language, full"])


@every_archive
def test_every_bit_flip_is_noticed(name: str) -> None:
    archive = bytearray(ARCHIVES[name][1])
    for bit in range(8 * len(archive)):
        archive[bit // 8] ^= 1 << bit % 8
        with pytest.raises(nczip.NczipError):
            nczip.decompress(archive)
        archive[bit // 8] ^= 1 << bit % 8


@every_archive
def test_every_bit_flip_is_noticed_or_harmless_at_random(name: str) -> None:
    content, whole = ARCHIVES[name]
    archive = bytearray(whole)
    middle = len(content) // 2
    for bit in range(8 * len(archive)):
        archive[bit // 8] ^= 1 << bit % 8
        with nczip.open(io.BytesIO(archive)) as reader:
            try:
                reader.seek(middle)
                taken = reader.read(50)
            except nczip.NczipError:
                taken = content[middle : middle + 1]
        assert content[middle:].startswith(taken)  # fewer than 50 where the next block is damaged
        assert taken or not content
        archive[bit // 8] ^= 1 << bit % 8


@every_archive
def test_cut_at_every_byte(name: str) -> None:
    content, archive = ARCHIVES[name]
    for length in range(len(archive)):
        if name == "two frames" and length == len(ARCHIVES["zstd, full"][1]):
            continue  # a whole archive of the first frame: nothing can tell
        sink = io.BytesIO()
        error = nczip.TruncatedError if length else nczip.FormatError
        with nczip.open(io.BytesIO(archive[:length])) as reader, pytest.raises(error):
            sink.writelines(iter(reader.read1, b""))
        assert content.startswith(sink.getvalue())
        if name == "zstd, full" and length > len(archive) - 8:
            assert sink.getvalue() == content


@every_archive
def test_a_byte_more_is_noticed(name: str) -> None:
    content, archive = ARCHIVES[name]
    for extra in (b"\0", b"\n", b"\x9c", archive[:5]):
        with nczip.open(io.BytesIO(archive + extra)) as reader:
            assert not content or reader.read(len(content)) == content
            with pytest.raises(nczip.CorruptError):
                reader.read()
