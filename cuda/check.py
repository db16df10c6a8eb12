"""Levels 7 and 8 on this machine's GPU: whether it computes what the CPU computes, and how fast it is.

    cuda/try.sh --corpora DIR                everything, in less than eight minutes
    cuda/try.sh --corpora DIR --seconds 900  with more text
    cuda/try.sh --only PART                  gpu, kernels, golden, logits, archives, batches or speed

Needs the default language model (nczip models fetch smollm2-135m), or --model. Goes on after a failure, says
at the end what failed, and exits with 1 if anything did.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import nczip
from nczip import _core, language, levels
from nczip import device as devices
from nczip.cli.bench_cmd import lines as bench_lines
from nczip.device import bench, lockstep
from nczip.device.launching import Memory, Program
from nczip.device.passes import ADMISSION, Caches, Passes, Shape, Spelled
from nczip.device.weights import Weights

ROOT = Path(__file__).parents[1]
VECTORS = ROOT / "formats" / "vectors" / "next"
sys.path += [str(ROOT / "tests" / part) for part in ("gpu", "unit")]

PARTS = ("gpu", "kernels", "golden", "logits", "archives", "batches", "speed")
LEVELS = (7, 8)
MOST = 52_000_000  # bytes of text that speed is measured on
BYTES_A_TOKEN = 3.5  # about, to foretell how long that takes
SHARED = 227 << 10


class DifferentError(Exception):
    """What was compared is not the same."""


class Checks:
    """Runs one part after another within a time, and remembers what failed."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.begin = time.monotonic()
        self.failures: list[str] = []

    @property
    def left(self) -> float:
        return float(self.args.seconds - (time.monotonic() - self.begin))

    def part(self, name: str, work: Callable[[Checks], None]) -> None:
        if self.args.only and name not in self.args.only:
            return
        print(f"\n== {name} ({self.left:.0f} s left)", flush=True)
        self.step(name, lambda: work(self))

    def step(self, name: str, work: Callable[[], object]) -> bool:
        began = time.monotonic()
        try:
            work()
        except Exception as error:
            self.failures.append(f"{name}: {type(error).__name__}: {error}")
            print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
            if not isinstance(error, DifferentError):
                traceback.print_exc(file=sys.stdout)
            return False
        print(f"ok     {name} ({time.monotonic() - began:.1f} s)", flush=True)
        return True


def expect(same: bool, what: str) -> None:
    if not same:
        raise DifferentError(what)


@contextmanager
def models_in(folder: Path) -> Iterator[None]:
    before = os.environ.get("NCZIP_MODEL_DIR")
    os.environ["NCZIP_MODEL_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["NCZIP_MODEL_DIR"]
        else:
            os.environ["NCZIP_MODEL_DIR"] = before


@contextmanager
def lockstep_with(**values: int) -> Iterator[None]:
    """Other sizes of passes, for servers that are made meanwhile."""
    before = {name: getattr(lockstep, name) for name in values}
    for name, value in values.items():
        setattr(lockstep, name, value)
    devices._servers.clear()
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(lockstep, name, value)
        devices._servers.clear()


def texts(args: argparse.Namespace) -> dict[str, bytes]:
    """The beginning of every file at hand."""
    found: dict[str, bytes] = {}
    for root in args.corpora:
        files = sorted(path for path in Path(root).rglob("*") if path.is_file())
        for path in [Path(root)] if Path(root).is_file() else files:
            if path.name not in ("SHA256SUMS",) and path.stat().st_size >= 256:
                with path.open("rb") as file:
                    found[path.name] = file.read(MOST)
    if not found:
        found["prose"] = (VECTORS / "content" / "prose.bin").read_bytes() * 40
    return found


def gpu(checks: Checks) -> None:
    for station in devices.stations():
        device: Any = station.device
        major, minor = device.architecture
        print(f"{device.name}, sm_{major}{minor}, {device.multiprocessors} SMs")
        print(f"{device.free_memory() / 1e9:.1f} GB free, {device.most_shared() >> 10} KiB shared")
        peak = "unknown" if device.peak is None else f"{device.peak / 1e12:.0f} T/s"
        print(f"8-bit operations: {peak}; memory: {device.bandwidth / 1e9:.0f} GB/s")
        for head_dim in (16, 64):
            began = time.monotonic()
            device.load(head_dim)
            print(f"kernels for heads of {head_dim}: {time.monotonic() - began:.2f} s")
    print(
        f"nczip {nczip.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores {_core.isa()}"
    )


def each_kernel(checks: Checks) -> None:
    """Every launch of a pass on the GPU and on its twin: all memory is the same after each of them."""
    from test_kernels import ALL, tiny  # type: ignore[import-not-found]
    from twin import Twin  # type: ignore[import-not-found]

    for name in ALL:
        for length in (1, 24):
            checks.step(
                f"kernels, {name}, {length} tokens",
                lambda name=name, length=length: _trace(tiny(name), length, Twin()),
            )
    checks.step("kernels, spelled", lambda: _trace(tiny("llama"), 24, Twin(), Spelled(16, 4096)))


def _trace(model: Any, length: int, twin: Any, spelled: Spelled | None = None) -> None:
    gpu_device = devices.stations()[0].device
    sides = []
    for device in (gpu_device, twin):
        weights = Weights(device, *model.arguments)
        memory = Filled(device)
        shape = Shape(blocks=3, length=length, room=2, window=64, spelled=spelled)
        passes = Passes(weights, Caches(weights, shape, memory), 3, memory)
        if spelled:
            memory.skip(passes.caches.spellings)  # which has addresses in it
            passes.admit(np.array([(0, 0, spelled.size, block, 0) for block in range(3)], ADMISSION), 0)
        sides.append((device, memory, passes, weights))
    random = np.random.default_rng(1)
    tokens = random.integers(0, model.shape.entries, (3, length)).astype(np.uint32)
    counts = np.array([length, max(1, length - 3), 0], np.uint32)
    ask = np.zeros((3, 2, 2), np.uint32)
    ask[:, :, 1] = random.integers(0, model.shape.entries, (3, 2))
    try:
        for first in (
            0,
            5,
            70,
        ):  # the second time keys and values of the first are seen, the third time sinks
            for device, _, passes, _ in sides:
                for address, values in (
                    (passes.token, tokens),
                    (passes.first, np.full(3, first, np.uint32)),
                    (passes.count, counts),
                    (passes.ask, ask),
                    (passes.asks, np.array([2, 1, 0], np.uint32)),
                ):
                    device.upload(address, values)
            programs = [passes.encoding() for _, _, passes, _ in sides]
            for number, launches in enumerate(zip(*(program.launches for program in programs), strict=True)):
                for (device, *_), launch in zip(sides, launches, strict=True):
                    device.run(Program([launch]))
                    device.wait()
                ours, theirs = (memory.content() for _, memory, _, _ in sides)
                for piece, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                    if not np.array_equal(one, other):
                        wrong = np.flatnonzero(one != other)
                        where = f"{launches[0].kernel}, launch {number} at position {first}"
                        share = f"{len(wrong)} of {len(one)} bytes of buffer {piece} differ"
                        raise DifferentError(f"{where}: {share}, the first at {wrong[0]}")
    finally:
        for _, memory, _, weights in sides:
            memory.free()
            weights.memory.free()


class Filled(Memory):
    """What nobody has written is the same everywhere."""

    def __init__(self, device: Any) -> None:
        super().__init__(device)
        self.sizes: list[tuple[int, int]] = []

    def piece(self, size: int) -> int:
        address = super().piece(size)
        self.device.upload(address, np.full(size, 0x7F, np.uint8))
        self.sizes.append((address, size))
        return address

    def skip(self, address: int) -> None:
        """Its content does not count."""
        self.sizes = [one for one in self.sizes if one[0] != address]

    def content(self) -> list[np.ndarray]:
        found = []
        for address, size in self.sizes:
            found.append(np.empty(size, np.uint8))
            self.device.download(address, found[-1])
        return found


def golden(checks: Checks) -> None:
    with models_in(VECTORS / "models"):
        for path in sorted(VECTORS.glob("*-[78].ncz")):
            name, _, level = path.stem.rpartition("-")
            content, archive = (VECTORS / "content" / f"{name}.bin").read_bytes(), path.read_bytes()

            def both_ways(
                archive: bytes = archive, content: bytes = content, level: int = int(level)
            ) -> None:
                expect(nczip.decompress(archive, device="cuda") == content, "the content")
                here = nczip.compress(content, level, device="cpu")
                expect(nczip.compress(content, level, device="cuda") == here, "the archive")

            checks.step(path.name, both_ways)


def logits(checks: Checks) -> None:
    """Of the real model, one token at a time and many, past the end of a small window."""
    loaded = language.load(levels.default_method(7, checks.args.model))
    header = loaded.model.header
    device = devices.stations()[0].device
    weights = devices.stations()[0].weights(loaded.model)
    raw = next(iter(texts(checks.args).values()))[:2000]
    tokens = np.concatenate([[np.uint32(weights.vocabulary)], loaded.model.encode(raw)[:159]]).astype(
        np.uint32
    )
    window = 128
    expected = np.frombuffer(_core.logits(loaded.core, window, tokens), np.float32).reshape(len(tokens), -1)
    print(f"{header['architecture']['layers']} layers, {weights.memory.size / 1e6:.0f} MB of weights")

    def same(length: int, blocks: int) -> None:
        memory = Memory(device)
        try:
            shape = Shape(blocks=blocks, length=length, room=1, window=window)
            passes = Passes(weights, Caches(weights, shape, memory), blocks, memory)
            launches = [one for one in passes.encoding().launches if one.kernel != "intervals"]
            program = Program(launches)
            for first in range(0, len(tokens), length):
                some = tokens[first : first + length]
                filled = np.zeros((blocks, length), np.uint32)
                filled[:, : len(some)] = some
                device.upload(passes.token, filled)
                device.upload(passes.first, np.full(blocks, first, np.uint32))
                device.upload(passes.count, np.full(blocks, len(some), np.uint32))
                device.run(program)
                part = passes.part * length
                found = np.empty((part, passes.logit_pitch), np.float32)
                device.download(passes.logits, found)
                found = found[: len(some), : weights.vocabulary]
                wanted = expected[first : first + len(some)]
                wrong = np.count_nonzero(found.view(np.uint32) != wanted.view(np.uint32))
                expect(wrong == 0, f"{wrong} of {wanted.size} logits differ from token {first} on")
        finally:
            memory.free()

    for length, blocks in ((1, 1), (1, 64), (32, 4), (40, 1)):
        checks.step(f"logits, {blocks} blocks of {length}", lambda a=length, b=blocks: same(a, b))


def archives(checks: Checks) -> None:
    """Of every file: the archive of the CPU is that of the GPU, and each reads the other's."""
    cores = os.cpu_count() or 1
    model = checks.args.model
    rate = 2000.0 * cores  # bytes a second of the CPU, about
    found = texts(checks.args)
    each = int(min(checks.args.each, max(4096, checks.left / 4 * rate / len(found) / len(LEVELS))))
    for name, content in found.items():
        some = content[:each]

        def same(level: int, some: bytes = some) -> None:
            here = nczip.compress(some, level, model=model, threads=cores, device="cpu")
            there = nczip.compress(some, level, model=model, threads=cores, device="cuda")
            expect(nczip.decompress(here, device="cuda") == some, "the GPU does not read what the CPU wrote")
            expect(
                nczip.decompress(there, threads=cores, device="cpu") == some, "the CPU not what the GPU wrote"
            )
            expect(here == there, "the archives differ")

        if checks.left < 60:
            print(f"no time for {name} and what follows")
            break
        for level in LEVELS:
            checks.step(f"{name}, {len(some)} bytes, level {level}", lambda level=level: same(level))


def batches(checks: Checks) -> None:
    """Any number of blocks and any length of a pass give the same archive."""
    for level in LEVELS:
        _batches(checks, level)


def _batches(checks: Checks, level: int) -> None:
    content = b"".join(text[:20_000] for text in texts(checks.args).values())[: checks.args.each * 4]
    model = checks.args.model
    archive = nczip.compress(content, level, model=model, block_size=4096, device="cuda")
    for length, rows in ((1, 64), (7, 70), (32, 256), (128, 1024)):

        def packed(length: int = length, rows: int = rows) -> None:
            with lockstep_with(ENCODED_LENGTH=length, SPELLED_LENGTH=length, ENCODED_ROWS=rows):
                again = nczip.compress(content, level, model=model, block_size=4096, device="cuda")
            expect(again == archive, "another archive")

        checks.step(f"level {level}, packed {length} tokens of {rows // length} blocks at a time", packed)
    for blocks in (3, 40):

        def unpacked(blocks: int = blocks) -> None:
            with lockstep_with(DECODED_BLOCKS=blocks):
                expect(nczip.decompress(archive, device="cuda") == content, "other content")

        checks.step(f"level {level}, unpacked {blocks} blocks at a time", unpacked)

    def damaged() -> None:
        wrong = bytearray(archive)
        wrong[len(wrong) // 2] ^= 1
        try:
            nczip.decompress(bytes(wrong), device="cuda")
        except nczip.CorruptError:
            return
        raise DifferentError("damage went unseen")

    checks.step(f"level {level}, damage", damaged)
    expect(nczip.inspect(io.BytesIO(archive)).raw_size == len(content), "the archive's size")


def speed(checks: Checks) -> None:
    _speed(checks, 7, checks.left * 0.5)
    _speed(checks, 8, checks.left * 0.9)


def _speed(checks: Checks, level: int, seconds: float) -> None:
    """On as much text as about so many seconds allow."""
    text = b"".join(texts(checks.args).values())
    model = checks.args.model
    packing, unpacking = bench.passes(level, model)
    for one in (packing, unpacking):
        print(f"{one.what}: {one.tokens / one.seconds:,.0f} tokens/s in passes of {one.tokens}")
    seconds_a_token = 3.5 * packing.seconds / packing.tokens + 1.3 * unpacking.seconds / unpacking.tokens
    size = int(min(MOST, checks.args.bytes, max(1 << 20, seconds * 0.8 * BYTES_A_TOKEN / seconds_a_token)))
    content = (text * (size // len(text) + 1))[:size]
    print(f"{size:,} bytes: the files at hand, {size / len(text):.2f} times")
    measured = bench.run(
        content, level, "cuda", model, os.cpu_count() or 1, lambda what: print(f"... {what}", flush=True)
    )
    print("\n".join(bench_lines(measured, level, size)))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--corpora", action="append", default=[], help="a file or a folder of text; may be repeated"
    )
    parser.add_argument("--model", help="as nczip -m takes it")
    parser.add_argument("--only", action="append", choices=PARTS, help="may be repeated")
    parser.add_argument("--seconds", type=float, default=440, help="for all of it, about")
    parser.add_argument("--each", type=int, default=64 << 10, help="bytes of each file for the archives")
    parser.add_argument("--bytes", type=int, default=MOST, help="of text that speed is measured on, at most")
    checks = Checks(parser.parse_args())
    warnings.simplefilter(
        "error", devices.DeviceWarning
    )  # the CPU in the place of the GPU would prove nothing
    try:
        devices.stations()
        language.find(checks.args.model)
    except nczip.NczipError as error:
        print(f"nothing to check: {error}")
        return 1
    for name, work in zip(PARTS, (gpu, each_kernel, golden, logits, archives, batches, speed), strict=True):
        checks.part(name, work)
    print(f"\n{len(checks.failures)} failures in {time.monotonic() - checks.begin:.0f} s")
    for failure in checks.failures:
        print(f"  {failure}")
    return bool(checks.failures)


if __name__ == "__main__":
    sys.exit(main())
