"""Hostile archives end in the error that they should, whichever way they are read, and in bounded memory."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from forge import (
    BLOCK,
    CONTENT,
    GOOD,
    SPOKEN,
    spoken_block,
    spoken_full,
    spoken_method,
    spoken_solo,
    tally,
    two_blocks,
)
from hostile import ATTACKS, Attack
from hostile_language import LANGUAGE_ATTACKS

import nczip
from nczip import levels
from nczip.container import FOOTER_MAGIC, varint

every_attack = pytest.mark.parametrize(
    "attack", [pytest.param(attack, id=attack.name) for attack in [*ATTACKS, *LANGUAGE_ATTACKS]]
)


class Pipe(io.RawIOBase):
    """Bytes that can't be sought and come a few at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        return self._data.readinto(memoryview(buffer)[:7])


@every_attack
@pytest.mark.parametrize("threads", [1, 3])
def test_error_and_message(attack: Attack, threads: int) -> None:
    with pytest.raises(attack.error) as caught:
        nczip.decompress(attack.archive, threads=threads)
    assert type(caught.value) is attack.error
    assert str(caught.value) == attack.message


@every_attack
def test_the_same_from_a_pipe(attack: Attack) -> None:
    with nczip.open(Pipe(attack.archive)) as reader, pytest.raises(attack.error) as caught:
        reader.read()
    assert str(caught.value) == attack.message


@every_attack
def test_every_further_read_meets_it_again(attack: Attack) -> None:
    with nczip.open(io.BytesIO(attack.archive)) as reader:
        for _ in range(3):
            with pytest.raises(attack.error):
                reader.read()


@every_attack
def test_never_wrong_bytes_at_random(attack: Attack) -> None:
    """From the end, through whatever index there is: the right bytes or an error, never other bytes."""
    content = CONTENT[:2000] + CONTENT
    exchanged = (
        CONTENT[1000:2000] + CONTENT[:1000]
    )  # honest blocks in an order that only the whole can refute
    for position in (0, 1, 950, 1000, 1950, 1999):
        with nczip.open(io.BytesIO(attack.archive)) as reader:
            try:
                reader.seek(position)
                taken = reader.read(40)
            except nczip.NczipError:
                continue
            assert taken or reader.size <= position
        assert content[position:].startswith(taken) or exchanged[position:].startswith(taken)


def error_of(call: Callable[[], object]) -> type[BaseException] | None:
    try:
        call()
    except nczip.NczipError as error:
        return type(error)
    return None


@every_attack
def test_inspecting_it(attack: Attack) -> None:
    """Headers may be all right; otherwise it is the same error, or they show that the archive is cut off."""
    for source in (io.BytesIO(attack.archive), Pipe(attack.archive)):
        error = error_of(lambda source=source: nczip.inspect(source))
        assert error in (None, attack.error, nczip.TruncatedError)


@every_attack
def test_salvaging_it(attack: Attack) -> None:
    """What is written is content of intact blocks."""
    sink = io.BytesIO()
    lost: list[nczip.LostRange] = []
    error = error_of(lambda: nczip.salvage(io.BytesIO(attack.archive), sink, lost.append))
    missing = nczip.MissingModelError, nczip.MissingBaseError
    assert error in (None, nczip.FormatError, nczip.NewerVersionError, *missing)
    assert error or lost or attack.name in ("wrong total", "blocks exchanged")
    written = sink.getvalue()
    assert written in (b"", CONTENT, CONTENT[:1000], CONTENT[:2000], CONTENT[1000:2000] + CONTENT[:1000])


@every_attack
def test_memory(attack: Attack) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(nczip.NczipError):
            nczip.decompress(attack.archive)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_the_good_blocks_before_an_error_are_given_out() -> None:
    with nczip.open(io.BytesIO(GOOD + b"garbage")) as reader:
        assert reader.read(5000) == CONTENT[:2000]
        with pytest.raises(nczip.CorruptError, match="from byte 2088"):
            reader.read(1)


def test_a_memory_limit_refuses_before_decoding(tmp_path: Path) -> None:
    archive = nczip.compress(CONTENT * 1000, 3, block_size=1 << 22)[:-1]
    with pytest.raises(
        nczip.MemoryLimitError, match=r"needs .* MiB of memory, more than the limit of 26\.0 MiB"
    ):
        nczip.decompress(archive, memory=26 << 20)
    with pytest.raises(nczip.TruncatedError):
        nczip.decompress(archive, memory=64 << 20)


def test_sizes_that_add_up_past_64_bits() -> None:
    """Each frame's index claims a sum that it may; together they claim more than an integer holds."""
    huge = (1 << 63) - 1
    archive = two_blocks(tally=tally((BLOCK, huge), (BLOCK, huge))) * 3
    with nczip.open(io.BytesIO(archive)) as reader, pytest.raises(nczip.CorruptError, match="claims"):
        reader.seek(0, io.SEEK_END)


class CountingFile(io.BytesIO):
    """Counts the bytes that are read from it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        taken = super().read(size)
        self.count += len(taken)
        return taken


@pytest.mark.parametrize(
    "archive",
    [
        b"\x9cNZ\x1f" + b"".join((12 + 8 * i).to_bytes(4, "little") + FOOTER_MAGIC for i in range(1 << 14)),
        (b"\x9cNZ\x17" + 2 * varint(1 << 27) + bytes(8)) * (1 << 12),
    ],
    ids=["footers", "frames"],
)
def test_salvage_does_not_read_again_and_again(archive: bytes) -> None:
    """Every few bytes claim to begin or end something as long as the file."""
    file = CountingFile(archive)
    with pytest.raises(nczip.FormatError):
        nczip.salvage(file, io.BytesIO())
    assert file.count < 40 * (len(archive) + (1 << 20))


@pytest.mark.parametrize("length", range(256))
def test_every_length_of_a_configuration(length: int) -> None:
    """Of method 3: whatever is too short or too long is newer, and nothing is read past its end."""
    archive = spoken_full((spoken_method() + bytes(255))[:length])
    with pytest.raises(nczip.CorruptError if length == 12 else nczip.NewerVersionError):
        nczip.decompress(archive)
    with pytest.raises(nczip.TruncatedError if length == 12 else nczip.NewerVersionError):
        nczip.inspect(io.BytesIO(archive))


@pytest.mark.parametrize("level", [7, 8, 9])
def test_packed_bytes_that_nobody_packed(level: int) -> None:
    """With checksums to match, so that they reach the model: an error, or the content in another spelling."""
    method, packed = levels.default_method(level), spoken_block(level)
    others = [spoken_block(other) for other in (7, 8, 9) if other != level]
    flips = range(0, len(packed), 1 + len(packed) // 40)
    flipped = [packed[:at] + bytes([packed[at] ^ 1 << at % 8]) + packed[at + 1 :] for at in flips]
    for damaged in [b"", bytes(500), CONTENT[:900], packed[:-1], packed + b"more", *others, *flipped]:
        archive = spoken_solo(method.config, len(SPOKEN), damaged, SPOKEN)
        content = None
        with contextlib.suppress(nczip.CorruptError):
            content = nczip.decompress(archive)
        assert content in (None, SPOKEN)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's own figure")
def test_memory_of_the_core(tmp_path: Path) -> None:
    """A block takes what its header says and not what its configuration allows."""
    archive = tmp_path / "a.ncz"
    archive.write_bytes(spoken_solo(spoken_method(level=9, table_bits=26, window_bits=12)))
    program = """
import sys, nczip
try:
    nczip.open(sys.argv[1]).read()
except nczip.CorruptError:
    print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(archive)], capture_output=True, check=True, text=True
    )
    assert int(done.stdout) < 200 << 10


def test_blocks_before_a_damaged_one_come_out_although_they_are_decoded_together() -> None:
    archive = bytearray(nczip.compress(SPOKEN, 8, block_size=300))
    block = nczip.inspect(io.BytesIO(archive)).frames[0].blocks[2]
    archive[block.offset + 30] ^= 1
    for threads in (1, 2):
        with nczip.open(io.BytesIO(archive), threads=threads) as reader:
            assert reader.read(len(SPOKEN)) == SPOKEN[:600]
            with pytest.raises(nczip.CorruptError, match=f"block at byte {block.offset}"):
                reader.read(1)
