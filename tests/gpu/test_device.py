"""Whole archives through a device, here the kernels' twin: the same bytes, also when it fails."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from twin import Twin

import nczip
from nczip import device as devices
from nczip.device import DeviceError, DeviceWarning, cuda, lockstep, passes
from nczip.device.launching import Program

VECTORS = Path(__file__).parents[2] / "formats/vectors/next"
SIZE = 300  # bytes of a block
MEMORY = 16 << 20  # enough for a few blocks
LARGE_MEMORY = 256 << 20  # the same for level 8


class Some:
    """Twins in the place of GPUs."""

    def __init__(self) -> None:
        self.twins: list[Twin] = []

    def add(self, *twins: Twin) -> None:
        self.twins += twins

    def used(self) -> bool:
        return any(twin.launches for twin in self.twins)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Some:
    some = Some()

    def found() -> list[Twin]:
        if not some.twins:
            raise DeviceError("there is no NVIDIA driver on this machine")
        return some.twins

    monkeypatch.setattr(cuda, "devices", found)
    monkeypatch.setattr(devices, "_stations", None)
    monkeypatch.setattr(devices, "_servers", {})
    monkeypatch.setattr(lockstep, "ENCODED_LENGTH", 8)
    monkeypatch.setattr(lockstep, "SPELLED_LENGTH", 4)
    monkeypatch.setattr(passes, "SPELLED_ROWS", 32)
    monkeypatch.setattr(lockstep, "ENCODED_ROWS", 32)
    monkeypatch.setattr(lockstep, "DECODED_BLOCKS", 4)
    monkeypatch.setattr(lockstep, "LEAST_STRETCHES", 1)
    return some


@pytest.fixture(scope="module")
def content() -> bytes:
    """Text, with some bytes among it that no token has, and noise."""
    prose = (VECTORS / "content" / "prose.bin").read_bytes()
    return prose[:1500] + bytes(range(256)) + prose[1500:1900]


@pytest.fixture(scope="module")
def archive(content: bytes) -> bytes:
    return nczip.compress(content, 7, block_size=SIZE, device="cpu")


def test_level_8(gpus: Some, content: bytes) -> None:
    archive = nczip.compress(content, 8, block_size=SIZE, device="cpu")
    gpus.add(Twin(LARGE_MEMORY))
    assert nczip.compress(content, 8, block_size=SIZE, device="cuda", threads=2) == archive
    assert nczip.decompress(archive, device="auto", threads=2) == content
    assert gpus.used()


@pytest.mark.parametrize("count", [1, 2])
def test_the_same_archive_both_ways(gpus: Some, content: bytes, archive: bytes, count: int) -> None:
    gpus.add(*(Twin(MEMORY) for _ in range(count)))
    assert nczip.compress(content, 7, block_size=SIZE, device="cuda", threads=2) == archive
    assert nczip.decompress(archive, device="auto", threads=2) == content
    assert all(twin.launches for twin in gpus.twins)


@pytest.mark.parametrize("name", ["prose-7", "several-7", "scripts-7", "prose-8", "scripts-8", "mixed-8"])
def test_golden_archives(gpus: Some, name: str) -> None:
    gpus.add(Twin(LARGE_MEMORY))
    data = (VECTORS / f"{name}.ncz").read_bytes()
    expected = (VECTORS / "content" / f"{name.partition('-')[0]}.bin").read_bytes()
    assert nczip.decompress(data) == expected
    assert gpus.used()


def test_other_levels_stay_where_they_are(gpus: Some, text: bytes) -> None:
    gpus.add(Twin(MEMORY))
    for level in (1, 4, 9):
        assert nczip.decompress(nczip.compress(text[:500], level, device="cuda"), device="cuda") == text[:500]
    assert not gpus.used()


def test_no_gpu(gpus: Some, content: bytes, archive: bytes) -> None:
    assert nczip.compress(content, 7, block_size=SIZE) == archive  # auto
    assert nczip.decompress(archive) == content
    with pytest.raises(DeviceError, match="no NVIDIA driver"):
        nczip.compress(content, 7, device="cuda")
    with pytest.raises(DeviceError, match="no NVIDIA driver"):
        nczip.decompress(archive, device="cuda")
    with pytest.raises(ValueError, match="auto, cpu or cuda"):
        nczip.compress(content, 7, device="tpu")


@pytest.mark.parametrize("lasts", [0, 30])
def test_a_gpu_that_vanishes(gpus: Some, content: bytes, archive: bytes, lasts: int) -> None:
    gpus.add(Twin(MEMORY, lasts=lasts))
    with pytest.warns(DeviceWarning, match="the twin has vanished; the CPU does it instead"):
        assert nczip.compress(content, 7, block_size=SIZE, threads=2) == archive
    with pytest.warns(DeviceWarning, match="vanished"):
        assert nczip.decompress(archive) == content


def test_one_of_two_gpus_vanishes(gpus: Some, content: bytes, archive: bytes) -> None:
    """The other does its work; nobody needs to hear of it."""
    gpus.add(Twin(MEMORY, lasts=20), Twin(MEMORY))
    assert nczip.compress(content, 7, block_size=SIZE, threads=2) == archive


def test_a_gpu_with_too_little_memory(gpus: Some, content: bytes, archive: bytes) -> None:
    gpus.add(Twin(1 << 17))
    with pytest.warns(DeviceWarning, match="not enough memory"):
        assert nczip.compress(content, 7, block_size=SIZE) == archive


class Liar(Twin):
    """Its results are wrong at times."""

    def run(self, program: Program) -> None:
        super().run(program)
        for launch in program.launches:
            if launch.kernel in ("intervals", "decode") and self.launches % 3 == 0:
                logits = launch.arguments[0].value
                assert logits is not None
                self.upload(logits, self.noise)
                self._launch(launch)

    @property
    def noise(self) -> object:
        import numpy as np

        return np.zeros(300, np.float32)


def test_wrong_results_are_not_taken(gpus: Some, content: bytes, archive: bytes) -> None:
    gpus.add(Liar(MEMORY))
    with pytest.warns(DeviceWarning, match="was not decoded to what it was made of"):
        assert nczip.compress(content, 7, block_size=SIZE) == archive
    assert nczip.decompress(archive) == content


def test_damage_is_said_as_ever(gpus: Some, content: bytes, archive: bytes) -> None:
    gpus.add(Twin(MEMORY))
    assert nczip.inspect(io.BytesIO(archive)).raw_size == len(content)
    with pytest.raises(nczip.CorruptError):
        nczip.decompress(archive[:200] + bytes([archive[200] ^ 1]) + archive[201:])


def test_whoever_gives_up_is_not_waited_for(gpus: Some, content: bytes, archive: bytes) -> None:
    gpus.add(Twin(MEMORY))
    with nczip.open(io.BytesIO(archive), device="cuda") as reader:
        assert reader.read(5) == content[:5]
    with nczip.open(io.BytesIO(), "wb", level=7, block_size=SIZE, device="cuda") as writer:
        writer.write(content)
        writer.abort()
    assert nczip.decompress(archive, device="cuda") == content


def test_bench(gpus: Some, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nczip.cli.bench_cmd import bench

    gpus.add(Twin(MEMORY))
    text = tmp_path / "text"
    text.write_bytes((VECTORS / "content" / "prose.bin").read_bytes()[:700])
    bench.main(["--device", "cuda", str(text)], standalone_mode=False)
    said = capsys.readouterr().out
    for part in (
        "twin: level 7, 700 bytes",
        "compress, verify",
        "decompress: a pass of",
        "attention",
        "idle",
    ):
        assert part in said
    bench.main(["--device", "cpu", "--bytes", "300", str(text)], standalone_mode=False)
    assert "cpu: level 7, 300 bytes" in capsys.readouterr().out
