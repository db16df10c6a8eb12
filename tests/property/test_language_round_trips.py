"""Any bytes go through a language model and come back, whatever the model has words for."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nczip
from nczip import _core, knowledge, language, levels

CEILINGS = ("scalar", *(("neon",) if os.uname().machine == "aarch64" else ("sse2", "avx2", "avx512", "vnni")))

# What the model has words for, what it has none for, and what looks as if it were not content.
PIECES = [
    b" the coder mixes what a model has seen",
    b"one of the bits",
    b"\r\n",
    b"\n",
    b"\0",
    b"\0" * 700,
    b"<|im_start|>",
    b"<|im_end|>",
    b"<|im_",
    "é東🤽".encode(),
    "é東🤽".encode()[:-2],
    "مرحبا שלום Здравствуйте नमस्ते こんにちは".encode(),
    b"e\xcc\x81",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xc7\x80\xff",
    b"\x80\xff\xc7",
    b"     ",
    b"12345",
    bytes(range(256)),
]
CASES = {
    "empty": b"",
    "a byte": b"n",
    "a byte without a token": b"\xff",
    "every byte": bytes(range(256)),
    "all pieces": b"".join(PIECES),
    "all pieces backwards": b"".join(reversed(PIECES)),
    "a long run": b"a" * 3000,
    "bytes without a token": b"\xff\0\x80\xc7" * 100,
}
some = st.one_of(st.sampled_from(PIECES), st.binary(max_size=60), st.text().map(str.encode))
pieces = st.lists(some, max_size=12)
contents = pieces.map(b"".join)
language_levels = st.sampled_from(levels.LANGUAGE_LEVELS)


def packed_by(level: int, raw: bytes) -> bytes:
    """The packed bytes, however many they are: a block would be stored if they were more than it has."""
    method = levels.default_method(level)
    loaded = language.load(method)
    tokens = loaded.model.encode(raw)
    coder = _core.LanguageEncoder(
        loaded.core, method.config[: language.CONFIG], raw, tokens.data, knowledge.load()
    )
    while coder.advance(1000) < len(raw):
        pass
    return coder.finish()


def unpacked(level: int, *blocks: tuple[int, bytes]) -> list[object]:
    return list(language.unpack(levels.default_method(level), blocks, lambda _raw, _packed: None))


@pytest.mark.parametrize("level", levels.LANGUAGE_LEVELS)
@pytest.mark.parametrize("raw", [pytest.param(raw, id=name) for name, raw in CASES.items()])
def test_cases(level: int, raw: bytes) -> None:
    assert unpacked(level, (len(raw), packed_by(level, raw))) == [raw]
    assert nczip.decompress(nczip.compress(raw, level)) == raw


@given(raws=st.lists(contents, min_size=1, max_size=4), level=language_levels)
def test_alone_and_side_by_side(raws: list[bytes], level: int) -> None:
    blocks = [(len(raw), packed_by(level, raw)) for raw in raws]
    assert unpacked(level, *blocks) == raws
    assert [unpacked(level, block) for block in blocks] == [[raw] for raw in raws]


@given(content=contents, level=language_levels, block_size=st.integers(50, 2000), threads=st.integers(2, 4))
def test_threads_and_batches_change_nothing(
    content: bytes, level: int, block_size: int, threads: int
) -> None:
    archive = nczip.compress(content, level, block_size=block_size)
    assert nczip.compress(content, level, block_size=block_size, threads=threads) == archive
    most = levels.MOST_TOGETHER
    try:
        for levels.MOST_TOGETHER in (1, 3, most):
            assert nczip.decompress(archive) == content
            with nczip.open(io.BytesIO(archive), threads=threads) as reader:
                middle = reader.seek(len(content) // 2)
                assert reader.read() == content[middle:]
    finally:
        levels.MOST_TOGETHER = most


@given(raw=st.binary(min_size=1, max_size=200), size=st.integers(0, 300), level=language_levels)
def test_any_packed_bytes_give_some_content_or_an_error(raw: bytes, size: int, level: int) -> None:
    (found,) = unpacked(level, (size, raw))
    assert isinstance(found, nczip.CorruptError) or (isinstance(found, bytes) and len(found) == size)


@pytest.mark.parametrize("isa", CEILINGS)
def test_every_path_writes_and_reads_the_same(isa: str) -> None:
    content = b"".join(PIECES) * 2
    archives = [nczip.compress(content, level, block_size=1500) for level in levels.LANGUAGE_LEVELS]
    program = """
import sys, nczip
content, archives = eval(sys.stdin.read())
for level, archive in zip((7, 8, 9), archives):
    assert nczip.compress(content, level, block_size=1500) == archive, level
    assert nczip.decompress(archive) == content, level
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"NCZIP_ISA": isa},
        input=repr((content, archives)),
        text=True,
        capture_output=True,
    )
    assert done.stderr == ""
