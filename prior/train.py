"""Makes the knowledge that the mixture starts from: ``python -m prior.train TEXTS KNOWLEDGE``.

TEXTS is the folder that ``prior.texts build`` has filled; KNOWLEDGE becomes nczip/knowledge.zst.

Two steps. What the hash table knows is counted over the greater part of the text (slots.cpp). Then the
mixer's weights are learnt over the rest, which is coded in files of several sizes, each from the start: the
weights of one file are the start of the next one, and their mean is kept.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nczip import _core
from nczip.reference.known import LINE, UNIT, weight_count
from nczip.reference.parts import PARTS, Parts
from prior.texts import PIECE

SLOTS = 675_000  # as many as fit in the wheel
LEAST_PIECES = 2
SHARE_FOR_WEIGHTS = 8  # one in so many pieces of the text
TEXT_TO_BINARY = 6  # pieces for weights: so many of text, then one that is not
FILES = (64 << 10, 4 << 10, 128 << 10, 16 << 10, 32 << 10)  # bytes of the files that weights are learnt on
FINEST = 128  # units: weights are rounded to so many, which packs well and costs no bits

Floats = npt.NDArray[np.float32]


def count_contexts(text: bytes) -> bytes:
    """The known lines of the hash table, from the program beside this one."""
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "slots"
        compiler = ["c++", "-std=c++20", "-O2", "-ffp-contract=off", "-Wno-psabi"]
        subprocess.run([*compiler, str(here / "slots.cpp"), "-o", str(program)], check=True)
        arguments = [str(program), str(SLOTS), str(LEAST_PIECES), str(PIECE)]
        lines: bytes = subprocess.run(arguments, input=text, stdout=subprocess.PIPE, check=True).stdout
        return lines


def fold(lines: bytes, weights: bytes) -> bytes:
    """Knowledge in the order of its file; `_core.unfold_knowledge` is the reverse."""
    table = np.frombuffer(lines, np.uint8).reshape(-1, LINE)
    checks, slots = table[:, :4], table[:, 4:].reshape(-1, 15)
    used: bytes = checks.tobytes() + slots[checks.reshape(-1) != 0].tobytes()
    return used + weights[::2] + weights[1::2]


def untrained(parts: Parts) -> Floats:
    """The weights that learning starts from: all alike."""
    weights = np.full(weight_count(parts), 1 / len(parts.selectors), np.float32)
    weights[: sum(parts.selectors) * parts.inputs] = 0.1 if parts.apms else 0.15
    return weights


def as_bytes(weights: Floats, finest: int) -> bytes:
    """Weights in units, rounded to multiples of ``finest`` units."""
    rounded = np.rint(weights / np.float32(UNIT * finest)) * finest
    whole: bytes = np.clip(rounded, -32768, 32767).astype("<i2").tobytes()
    return whole


def learn_weights(level: int, before: bytes, after: bytes, text: bytes) -> Floats:
    """The weights of one level; ``before`` and ``after``: the knowledge that stands around them."""
    config = _core.mixture_config(level)
    weights = untrained(PARTS[level])
    total = np.zeros(len(weights))
    counted = at = 0
    turn = 0
    while at < len(text):
        file = text[at : at + FILES[turn % len(FILES)]]
        at += len(file)
        turn += 1
        encoder = _core.MixtureEncoder(config, file, before + as_bytes(weights, 1) + after)
        encoder.advance(len(file))
        weights = np.frombuffer(encoder.weights(), np.float32)
        if at > len(text) // 4:
            total += weights
            counted += 1
    print(f"level {level}: {turn} files", flush=True)
    return (total / counted).astype(np.float32)


def cut(data: bytes) -> list[bytes]:
    """Not at the ends of lines, as ``texts.pieces`` does, but where slots.cpp cuts."""
    return [data[at : at + PIECE] for at in range(0, len(data), PIECE)]


def pieces_for_weights(text: list[bytes], binary: list[bytes]) -> bytes:
    """Some of both, spread evenly."""
    chosen = text[::SHARE_FOR_WEIGHTS]
    step = max(1, len(binary) * TEXT_TO_BINARY // len(chosen))
    others = iter(binary[::step])
    mixed = []
    for i, piece in enumerate(chosen):
        mixed.append(piece)
        if i % TEXT_TO_BINARY == 0:
            mixed.append(next(others, b""))
    return b"".join(mixed)


def main(texts: str, knowledge_path: str) -> None:
    import xxhash
    import zstandard

    pieces = cut(Path(texts, "train.bin").read_bytes())
    binary = cut(Path(texts, "train-binary.bin").read_bytes())
    lines = count_contexts(b"".join(p for i, p in enumerate(pieces) if i % SHARE_FOR_WEIGHTS))
    for_weights = pieces_for_weights(pieces, binary)
    weights = {level: untrained(parts) for level, parts in PARTS.items()}
    for level in PARTS:
        sizes = [as_bytes(weights[other], FINEST) for other in PARTS]
        place = list(PARTS).index(level)
        before, after = lines + b"".join(sizes[:place]), b"".join(sizes[place + 1 :])
        weights[level] = learn_weights(level, before, after, for_weights)
    all_weights = b"".join(as_bytes(w, FINEST) for w in weights.values())
    parameters = zstandard.ZstdCompressionParameters.from_level(22, window_log=25)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compress(fold(lines, all_weights))
    Path(knowledge_path).write_bytes(packed)
    digest = xxhash.xxh3_64_intdigest(packed)
    print(f"{len(packed)} bytes in the wheel; nczip/knowledge.py needs XXH3 = 0x{digest:016X}")


if __name__ == "__main__":
    main(*sys.argv[1:])
