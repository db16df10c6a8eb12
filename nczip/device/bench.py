"""How fast levels 7 and 8 are on a device, where its time goes, and what the hardware would allow."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nczip import device as devices
from nczip import language, levels, stream
from nczip.blocks import content_hash
from nczip.device import lockstep
from nczip.device.launching import Program
from nczip.errors import NczipError

LIMBS = 2  # of what multiplies weights, keys and values
PASSES = 8  # that a pass is timed over
SHORT = 4  # bytes of the tokens that it is timed with, at most


@dataclass(frozen=True, slots=True)
class Speed:
    """One way through the whole content: wall-clock ``seconds``, bytes of content and tokens in it."""

    what: str
    seconds: float
    size: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of a direction, all blocks in the middle of a long one.

    ``seconds`` is of a pass among others, ``stages`` of its kernels one at a time; ``operations``: on 8-bit
    integers, 2 a multiply-add; ``read``: bytes of weights, keys and values.
    """

    what: str
    tokens: int
    seconds: float
    stages: dict[str, float]
    operations: float
    read: float


@dataclass(frozen=True, slots=True)
class Bench:
    """``peak``: operations a second, ``bandwidth``: bytes a second; None where they are not known."""

    device: str
    ratio: float
    speeds: Sequence[Speed]
    passes: Sequence[Pass] = ()
    peak: float | None = None
    bandwidth: float | None = None


def run(
    content: bytes,
    level: int,
    name: str,
    model: str | None,
    threads: int,
    say: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Compresses and decompresses ``content`` on ``cpu`` or ``cuda`` and compares; ``level`` is 7 or 8.

    Raises DeviceError, MissingModelError, ModelFileError; NczipError if the content does not come back.
    """
    method = levels.default_method(level, model)
    loaded = language.load(method)
    served = devices.serves(method, name)
    size = levels.default_block_size(level)
    say("tokens")
    begin = time.perf_counter()
    tokens = sum(
        len(loaded.model.encode(content[first : first + size])) for first in range(0, len(content), size)
    )
    speeds = [Speed("tokens", time.perf_counter() - begin, len(content), tokens)]
    in_passes: Sequence[Pass] = ()
    peak = bandwidth = None
    label = "cpu"
    if served:
        stations = devices.stations()
        label = ", ".join(station.device.name for station in stations)
        say("passes")
        in_passes = passes(level, model)
        peak, bandwidth = stations[0].device.peak, stations[0].device.bandwidth
        warm = content[: 4 * size]
        stream.decompress(stream.compress(warm, level, model=model, device=name), device=name)

    def timed(what: str, work: Callable[[], bytes]) -> bytes:
        say(what)
        begin = time.perf_counter()
        result = work()
        speeds.append(Speed(what, time.perf_counter() - begin, len(content), tokens))
        return result

    def compress(verify: bool) -> bytes:
        return stream.compress(content, level, model=model, threads=threads, device=name, verify=verify)

    archive = timed("compress", lambda: compress(False))
    if served and timed("compress, verify", lambda: compress(True)) != archive:
        raise NczipError("verifying changed the archive")
    back = timed("decompress", lambda: stream.decompress(archive, threads=threads, device=name))
    if content_hash(back) != content_hash(content):
        raise NczipError("the content did not come back")
    return Bench(label, 8 * len(archive) / max(1, len(content)), speeds, in_passes, peak, bandwidth)


def passes(level: int, model: str | None) -> list[Pass]:
    """Both directions on the first GPU, with as many blocks as there would be. Raises as ``run`` does."""
    method = levels.default_method(level, model)
    size = levels.default_block_size(level)
    spelled = devices.spelled(method, size)
    station = devices.stations()[0]
    weights, window = station.weights(language.load(method).model), 1 << method.config[3]
    found = []
    with lockstep.encoder(weights, window, lockstep.ENCODED_ROWS, spelled=spelled) as encoder:
        found.append(_timed("compress", encoder, encoder.passes.encoding(), window, size))
    with lockstep.decoder(weights, window, lockstep.DECODED_BLOCKS, 1 << 16, spelled) as decoder:
        found.append(_timed("decompress", decoder, decoder.passes.decoding(), window, size))
    station.device.wait()
    return found


def _timed(what: str, engine: lockstep.Lockstep, program: Program, window: int, size: int) -> Pass:
    device, passes, weights = engine.device, engine.passes, engine.weights
    blocks, length = engine.blocks, engine.length
    position = window  # from here on all of the window is seen
    ask = np.zeros((blocks, engine.room, 2), np.uint32)
    ask[:, :length, 0] = np.arange(length)
    usual = np.flatnonzero((weights.lengths <= SHORT) & ~weights.silent)
    ask[:, :length, 1] = np.random.default_rng(0).choice(usual, (blocks, length))

    def ready() -> None:
        for address, values in (
            (passes.token, np.zeros((blocks, length), np.uint32)),
            (passes.first, np.full(blocks, position, np.uint32)),
            (passes.count, np.full(blocks, length, np.uint32)),
            (passes.mades, np.zeros(blocks, np.uint32)),
            (passes.ask, ask),
            (passes.asks, np.full(blocks, length, np.uint32)),
        ):
            device.upload(address, values)

    # Zeros decode to something, for long enough.
    nothing = bytes(engine.most_packed)
    engine.admit([engine.begin(block, nothing, size) for block in range(blocks)])
    ready()
    device.run(program)  # makes it ready
    device.wait()
    ready()
    begin = time.perf_counter()
    for _ in range(PASSES):
        device.run(program)
    device.wait()
    seconds = (time.perf_counter() - begin) / PASSES
    ready()
    stages = device.profile(program)
    tokens = blocks * length
    seen = window - 4  # positions
    kept = 2 * len(weights.layers) * weights.kv_heads * weights.head_dim * seen  # bytes, of a block
    attended = (
        2 * len(weights.layers) * weights.heads * weights.head_dim * seen
    )  # multiplications, of a token
    operations = 2.0 * LIMBS * tokens * (weights.products() + attended)
    return Pass(what, tokens, seconds, stages, operations, float(weights.products() + blocks * kept))
