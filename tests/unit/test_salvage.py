"""What survives damage: every block that the damage did not touch, and an honest list of the rest."""

from __future__ import annotations

import hashlib
import io

import pytest

import nczip
from nczip import container

SIZE = 1000  # bytes of a block
NOISE = hashlib.shake_256(b"salvage").digest(3 * SIZE)


def part(i: int) -> bytes:
    return (b"block %d " % i * SIZE)[:SIZE]


def salvaged(archive: bytes) -> tuple[bytes, list[nczip.LostRange]]:
    sink = io.BytesIO()
    told: list[nczip.LostRange] = []
    lost = nczip.salvage(io.BytesIO(archive), sink, told.append)
    assert lost == told
    assert sum(one.size for one in lost) <= len(archive)
    return sink.getvalue(), lost


def spoil(archive: bytes, offset: int, size: int = 3) -> bytes:
    return (
        archive[:offset]
        + bytes(byte ^ 0x55 for byte in archive[offset : offset + size])
        + archive[offset + size :]
    )


@pytest.fixture(params=[2, 5, 7, 8])
def level(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def archive(level: int) -> bytes:
    """Six blocks, the last one shorter."""
    return nczip.compress(b"".join(part(i) for i in range(6))[:-100], level, block_size=SIZE)


@pytest.fixture
def offsets(archive: bytes) -> list[int]:
    return [block.offset for block in nczip.inspect(io.BytesIO(archive)).frames[0].blocks]


PARTS = [*(part(i) for i in range(5)), part(5)[:-100]]
WHOLE = b"".join(PARTS)


def without(*numbers: int) -> bytes:
    return b"".join(PARTS[i] for i in range(6) if i not in numbers)


def test_nothing_lost(archive: bytes) -> None:
    assert salvaged(archive) == (WHOLE, [])
    assert salvaged(nczip.compress(b"")) == (b"", [])


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("within", [0, 1, 3, 8, 18], ids=lambda at: f"byte {at}")
def test_a_damaged_block(archive: bytes, offsets: list[int], number: int, within: int) -> None:
    content, lost = salvaged(spoil(archive, offsets[number] + within))
    assert content == without(number)
    assert [(one.offset, one.raw_offset, one.raw_size) for one in lost] == [
        (offsets[number], number * SIZE, len(PARTS[number]))
    ]


def test_two_damaged_blocks(archive: bytes, offsets: list[int]) -> None:
    content, lost = salvaged(spoil(spoil(archive, offsets[1]), offsets[4] + 5))
    assert content == without(1, 4)
    assert [(one.raw_offset, one.raw_size) for one in lost] == [(SIZE, SIZE), (4 * SIZE, SIZE)]


@pytest.mark.parametrize("at", range(0, 20, 3))
def test_a_damaged_header(archive: bytes, at: int) -> None:
    content, lost = salvaged(spoil(archive, at))
    assert content == WHOLE
    assert [(one.offset, one.raw_offset, one.raw_size) for one in lost] == [(0, 0, 0)]


def test_a_damaged_index(archive: bytes) -> None:
    for at in (len(archive) - 1, len(archive) - 6, len(archive) - 25):
        content, lost = salvaged(spoil(archive, at, 1))
        assert content == WHOLE
        assert [(one.raw_offset, one.raw_size) for one in lost] == [(len(WHOLE), 0)]


def test_cut_off(archive: bytes, offsets: list[int]) -> None:
    content, lost = salvaged(archive[: offsets[3] + 20])
    assert content == without(3, 4, 5)
    assert lost == [nczip.LostRange(offsets[3], 20, 3 * SIZE, None)]


def test_damaged_and_cut_off(archive: bytes, offsets: list[int]) -> None:
    """Without an index: the damaged block's header tells where the next one is."""
    content, lost = salvaged(spoil(archive, offsets[1] + 10)[: offsets[4] + 20])
    assert content == without(1, 4, 5)
    assert [(one.raw_offset, one.raw_size) for one in lost] == [(SIZE, SIZE), (4 * SIZE, None)]


def test_damaged_block_header_and_cut_off(archive: bytes, offsets: list[int]) -> None:
    """Without an index and without sizes: the next block of full size is looked for."""
    content, lost = salvaged(spoil(archive, offsets[1], 6)[: offsets[4] + 20])
    assert content == without(1, 4, 5)
    assert [(one.offset, one.raw_offset, one.raw_size) for one in lost] == [
        (offsets[1], SIZE, None),
        (offsets[4], None, None),
    ]


def test_content_that_looks_like_a_block(level: int) -> None:
    """While a header is looked for, only a checksum tells one from content."""
    fake = container.block_head(0, SIZE, b"other bytes", bytes(8))
    stored = (NOISE[:500] + fake + NOISE)[:SIZE]
    archive = nczip.compress(part(0) + stored + part(2) + part(3), level, block_size=SIZE)
    offsets = [block.offset for block in nczip.inspect(io.BytesIO(archive)).frames[0].blocks]
    content, lost = salvaged(spoil(archive, offsets[1], 6)[: offsets[3] + 5])
    assert content == part(0) + part(2)
    assert [(one.offset, one.size) for one in lost] == [
        (offsets[1], offsets[2] - offsets[1]),
        (offsets[3], 5),
    ]


def test_bytes_missing_in_the_middle(archive: bytes, offsets: list[int]) -> None:
    content, _ = salvaged(archive[: offsets[1] + 5] + archive[offsets[1] + 15 :])
    assert content == without(1)


def test_frames_around_a_damaged_one(archive: bytes, level: int) -> None:
    first, last = nczip.compress(NOISE, level), nczip.compress(part(9), level)
    middle = nczip.compress(part(8), level)
    content, lost = salvaged(first + spoil(middle, 20) + archive + last)
    assert content == NOISE + WHOLE + part(9)
    assert lost == [nczip.LostRange(len(first), len(middle), len(NOISE), SIZE)]

    content, lost = salvaged(first + spoil(middle, 0) + archive + last)
    assert content == NOISE + WHOLE + part(9)
    assert lost == [nczip.LostRange(len(first), len(middle), len(NOISE), None)]


def test_garbage_between_frames(archive: bytes, level: int) -> None:
    garbage = b"garbage that \x9cN begins \x9cNZ nothing"
    content, lost = salvaged(archive + garbage + archive)
    assert content == WHOLE * 2
    assert lost == [nczip.LostRange(len(archive), len(garbage), len(WHOLE), None)]


def test_a_cut_frame_before_another(archive: bytes, offsets: list[int], level: int) -> None:
    content, lost = salvaged(archive[: offsets[2] + 9] + nczip.compress(NOISE, level))
    assert content == without(2, 3, 4, 5) + NOISE
    assert lost == [nczip.LostRange(offsets[2], 9, 2 * SIZE, None)]


@pytest.mark.parametrize("data", [b"", b"nothing of the kind", b"\x9cN", bytes(5000)])
def test_not_an_archive(data: bytes) -> None:
    with pytest.raises(nczip.FormatError):
        salvaged(data)


def test_every_byte_damaged_once(archive: bytes, offsets: list[int]) -> None:
    """Never a byte that was not there; never more than one block lost."""
    for at in range(0, len(archive), 5):
        content, lost = salvaged(spoil(archive, at, 1))
        numbers = [one.raw_offset // SIZE for one in lost if one.raw_offset is not None and one.raw_size]
        assert len(numbers) <= 1
        assert content == without(*numbers)


def test_a_pipe_is_refused(archive: bytes) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(ValueError, match="sought"):
        nczip.salvage(Pipe(archive), io.BytesIO())
