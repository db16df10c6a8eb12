"""Stages of the reference against those of the core, alone: reference_stages.cpp prints what these do."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nczip.reference.apm import Apm
from nczip.reference.arithmetic import LANES, squash
from nczip.reference.bit_history import EMPTY, after
from nczip.reference.contexts import byte_contexts, direct_contexts, pixel_contexts, raster_contexts
from nczip.reference.counters import STRETCH, Counter, HistoryMap, quick_squash
from nczip.reference.hash_slots import HashSlots
from nczip.reference.hashing import GOLDEN
from nczip.reference.known import LINE, LINES, UNIT
from nczip.reference.match import MatchModel
from nczip.reference.mixer import FINAL_CONTEXTS, Mixer
from nczip.reference.structure import Structure
from nczip.reference.targets import make_absolute, pay, restore

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "nczip" / "native"
COMPILER = shutil.which("c++")

pytestmark = pytest.mark.skipif(
    not (COMPILER and NATIVE.is_dir()), reason="needs a C++ compiler and the sources"
)

Lines = list[tuple[int, ...]]


def content() -> bytes:
    """12,903 bytes: noise that repeats a little; words, lines and brackets; records of 20 bytes; a repeat.

    Then a bitmap of 80 bytes a row; text again; pixels of 3 bytes in rows of 72; x86 code.
    """
    noise = bytearray(hashlib.shake_256(b"noise").digest(1024))
    for i in range(100, 1000, 20):  # just enough for a record length
        noise[i] = noise[i - 37]
    lines = (
        b'Line %d: (a [nested] one) = "%d" < %d & more|words of it\n' % (i, i * i, i % 7) for i in range(17)
    )
    records = (
        i.to_bytes(4, "little") + b"field" + bytes([i * i % 251, 0, i * 7 % 256]) * 3 + b"\xff\0"
        for i in range(70)
    )
    text = b"".join(lines)
    start = (bytes(noise) + text + b"".join(records) + text)[:4000] + bitmap() + text * 3 + pixels()
    return start + code(len(start))


def bitmap() -> bytes:
    """Rows that differ in a byte."""
    row, rows = bytearray(hashlib.shake_256(b"row").digest(80)), b""
    for i in range(34):
        row[i * 7 % 80] ^= 0x10
        rows += row
    return rows


def pixels() -> bytes:
    """Upper halves of bytes stay the same from row to row, and colours for four pixels."""
    colours = hashlib.shake_256(b"colours").digest(18)
    row = [colours[x // 4 * 3 + channel] & 0xF0 for x in range(24) for channel in range(3)]
    return bytes(high | (y * 5 + i % 3) % 16 for y in range(40) for i, high in enumerate(row))


def code(start: int) -> bytes:
    """Calls of, and pointers to, a few targets."""
    code = bytearray()
    for i in range(70):
        opcode = b"\xe8" if i % 3 else b"\x48\x8d\x3d"
        following = start + len(code) + len(opcode) + 4
        code += (
            opcode + (i * i % 7 * 900 - following).to_bytes(4, "little", signed=True) + bytes([0x50 + i % 8])
        )
    return bytes(code)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lines]:
    """What the core's stages print, by stage."""
    directory = tmp_path_factory.mktemp("stages")
    program, sample = directory / "stages", directory / "sample"
    sample.write_bytes(content())
    flags = ["-std=c++20", "-O1", "-ffp-contract=off", "-Wno-psabi", "-DNCZ_ISA=stages"]
    source = HERE / "reference_stages.cpp"
    subprocess.run([COMPILER, *flags, f"-I{NATIVE}", source, "-o", program], check=True)
    printed = subprocess.run([program, sample], check=True, capture_output=True, text=True).stdout
    stages = defaultdict(list)
    for line in printed.splitlines():
        stage, *values = line.split()
        stages[stage].append(tuple(map(int, values)))
    return stages


def noise() -> Callable[[int], int]:
    """The generator of reference_stages.cpp."""
    state = 1

    def draw(below: int) -> int:
        nonlocal state
        state = (state * 1664525 + 1013904223) % 2**32
        return (state >> 16) % below

    return draw


def bits(x: float | np.float32) -> int:
    return int(np.float32(x).view(np.uint32))


def test_histories(core: dict[str, Lines]) -> None:
    names = {0: EMPTY}  # the core's numbers
    reached = [0]
    values = HistoryMap()
    for number in reached:
        history = names[number]
        zeros, ones, *following, p = core["history"][number]
        assert (history.zeros, history.ones, values[history].p) == (zeros, ones, p)
        for bit in (0, 1):
            if following[bit] not in names:
                reached.append(following[bit])
            assert names.setdefault(following[bit], after(history, bit)) == after(history, bit)
    assert len(set(names.values())) == len(names) == 177  # the core has names for some that cannot come about


def test_tables(core: dict[str, Lines]) -> None:
    assert [(bits(x),) for x in STRETCH] == core["stretch"]
    steps = np.arange(-260, 261).astype(np.float32) * np.float32(0.05)
    assert [(bits(quick_squash(x)),) for x in steps] == core["squash"]


def test_counter(core: dict[str, Lines]) -> None:
    draw, counter, seen = noise(), Counter(), []
    for i in range(3000):
        counter.update(draw(4) == 0, 255 if i < 2000 else 1023)
        seen.append((counter.p,))
    assert seen == core["counter"]


def test_hash_slots(core: dict[str, Lines]) -> None:
    known = bytearray(LINES)
    for i in range(0, 20, 2):  # every other context is known beforehand
        context, place = i * 0x10001, i // 2 % 4
        start = context * LINE % LINES
        known[start + place] = (context * GOLDEN & 0xFFFFFFFF) >> 24 | 1
        row = bytes((i * 13 + k * 5) % 200 for k in range(15))
        known[start + 4 + 15 * place : start + 19 + 15 * place] = row
    draw, slots, seen = noise(), HashSlots(128, bytes(known)), []
    for _ in range(3000):
        context = draw(20) * 0x10001
        slot = slots.find(context, inherits=bool(draw(2)))
        for _ in range(3):
            node = draw(2)
            slot[node] = after(slot[node], draw(2))
            seen.append((slot[node].zeros, slot[node].ones))
    assert seen == core["slots"]


def test_match(core: dict[str, Lines]) -> None:
    match, seen, whole = MatchModel(4, 12), [], content()
    for position in range(1, len(whole) + 1):
        history = bytearray(whole[:position])
        match.learn(history, binary=position % 1000 < 500, base=None)
        seen.append((match.length, match.pointer if match.length else 0))
        following = (whole + b"\0")[position] | 256
        for i in range(8):
            opinion = match.expect(history, following >> 8 - i, i)
            seen.append((bits(opinion) if match.expected_bit is not None else 0,))
            match.update(following >> 7 - i & 1)
    assert max(length for length, *_ in seen) > 400
    assert seen == core["match"]


def test_contexts(core: dict[str, Lines]) -> None:
    past, seen, found, whole = Structure(), [], [], content()
    for position, byte in enumerate(whole):
        if position < 150 or position + 150 >= len(whole) or position % 16 == 0:
            for level in (4, 5, 6):
                seen += byte_contexts(level, past)
            seen += direct_contexts(past)
            known = position % 8
            seen += pixel_contexts(past, (byte | 256) >> 8 - known, known, 4)
            if past.record:
                seen += raster_contexts(past, (byte | 256) >> 8 - known, known)
        past.append(byte, whole=position % 700 != 699)
        past.expected, past.expected_for = byte * 7 % 512, byte % 32
        found.append((past.record, past.row, past.binary, past.regular, past.raster))
    assert {record for record, *_ in found} == {0, 3, 20, 37, 57, 80, 220, 945}
    # (record, row, binary, regular, raster): pixels, a bitmap, and text after it
    assert {(3, 72, True, True, False), (80, 0, True, True, True), (80, 0, False, False, False)} < set(found)
    assert [(x,) for x in seen] == core["contexts"]
    assert found == core["structure"]


def test_targets(core: dict[str, Lines]) -> None:
    pays, *changed = (value for (value,) in core["targets"])
    assert (pay(content()), make_absolute(content())) == (bool(pays), bytes(changed))
    assert restore(bytes(changed)) == content()


@pytest.mark.parametrize(
    ("name", "inputs", "sets", "two_layers"), [("one_layer", 16, 2, False), ("two_layers", 48, 9, True)]
)
def test_mixer(core: dict[str, Lines], name: str, inputs: int, sets: int, two_layers: bool) -> None:
    draw, seen = noise(), []
    count = 3 * sets * inputs + (FINAL_CONTEXTS * LANES if two_layers else 0)
    initial = (np.arange(count) * 37 % 1601 - 400).astype(np.float32) * UNIT
    mixer = Mixer((3,) * sets, inputs, initial, two_layers)
    for _ in range(400):
        opinions = np.array([draw(4001) - 2000 for _ in range(inputs)]).astype(np.float32) * np.float32(0.003)
        x = mixer.mix(opinions, [draw(3) for _ in range(sets)], draw(32))
        seen.append((bits(x),))
        mixer.update(int(draw(3) == 0), np.float32(squash(x)), np.float32(0.02))
    assert seen == core[name]


def test_apm(core: dict[str, Lines]) -> None:
    draw, apm, seen = noise(), Apm(10), []
    for _ in range(3000):
        x = np.float32(draw(4001) - 2000) * np.float32(0.01)
        seen.append((bits(apm.refine(x, draw(5) << 22 | draw(9))),))
        apm.update(int(draw(3) == 0))
    assert seen == core["apm"]
