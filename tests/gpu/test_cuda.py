"""What speaks to NVIDIA's driver, with one in its place that runs the kernels' twin (fake_driver.cpp)."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import speaking
from twin import SOURCES, compile_library

VECTORS = Path(__file__).parents[2] / "formats/vectors/next"

# NVRTC finds the driver too, and wants more of it than there is: the module is any file of its kind.
BEGIN = """
import sys
import nczip
from nczip import device as devices
from nczip.device import cuda, kernels, lockstep, passes
kernels.compiled = lambda *_: b"\\x7fELF" + bytes(1000)
lockstep.ENCODED_LENGTH, lockstep.ENCODED_ROWS, lockstep.DECODED_BLOCKS = 8, 32, 4
lockstep.SPELLED_LENGTH, passes.SPELLED_ROWS, LEVEL = 8, 32, 7
lockstep.LEAST_STRETCHES = 1
"""


@functools.cache
def driver() -> Path:
    """A folder with the driver's library."""
    source = Path(__file__).parent / "fake_driver.cpp"
    options = ["-DNCZ_HEAD_DIM=16", "-DNCZ_SPELLING", str(source), "-Wl,-soname,libcuda.so.1", "-ldl"]
    return compile_library("fake/libcuda.so.1", [source, *SOURCES], options).parent


def said(program: str, tmp_path: Path, **environment: str) -> str:
    pytest.importorskip("cuda.bindings.driver")
    done = subprocess.run(
        [sys.executable, "-W", "always::UserWarning", "-c", BEGIN + program],
        env={
            **os.environ,
            "LD_LIBRARY_PATH": str(driver()),
            "NCZIP_KERNEL_DIR": str(tmp_path),
            "NCZIP_MODEL_DIR": str(speaking.MODELS),
            **environment,
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


BOTH_WAYS = f"""
content = open({str(VECTORS / "content" / "prose.bin")!r}, "rb").read()[:700]
expected = nczip.compress(content, LEVEL, block_size=300, device="cpu")
print(nczip.compress(content, LEVEL, block_size=300, device="cuda", threads=2) == expected)
print(nczip.decompress(expected, device="auto") == content)
"""


def test_blocks_pass_through_the_driver(tmp_path: Path) -> None:
    program = BOTH_WAYS
    assert said(program, tmp_path) == "True\nTrue\n"
    (kept,) = tmp_path.iterdir()
    # A cache that is damaged, or that cannot be written, is no error.
    kept.write_bytes(kept.read_bytes()[:-1])
    assert said(program, tmp_path) == "True\nTrue\n"
    assert said(program, tmp_path, NCZIP_KERNEL_DIR="/dev/null/nowhere") == "True\nTrue\n"


def test_level_8_does_too(tmp_path: Path) -> None:
    assert said("LEVEL = 8" + BOTH_WAYS, tmp_path) == "True\nTrue\n"
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"language", "spelling"}


@pytest.mark.parametrize(
    ("gpu", "sentence"),
    [
        ("none", "there is no NVIDIA GPU on this machine"),
        ("old", "Fake GPU is too old: nczip needs compute capability 8.0"),
        ("ancient", "NVIDIA's driver is too old: it knows CUDA 11, nczip needs 12"),
    ],
)
def test_what_is_in_the_way(gpu: str, sentence: str, tmp_path: Path) -> None:
    program = """
try:
    nczip.compress(b"to be or not to be", 7, device="cuda")
except devices.DeviceError as error:
    print(error)
"""
    assert said(program, tmp_path, FAKE_GPU=gpu) == f"{sentence}\n"


def test_too_little_memory(tmp_path: Path) -> None:
    output = said(BOTH_WAYS, tmp_path, FAKE_GPU="small")
    assert output.startswith("True\nTrue\n")
    assert "the GPU has not enough memory; the CPU does it instead" in output


def test_no_driver(tmp_path: Path) -> None:
    program = """
try:
    cuda.devices()
except devices.DeviceError as error:
    print(error)
"""
    assert said(program, tmp_path, LD_LIBRARY_PATH="") == "there is no NVIDIA driver on this machine\n"


def test_every_stage_is_timed(tmp_path: Path) -> None:
    program = """
import numpy as np
from nczip.device.launching import Launch, Memory, Program, integer, pointer
(gpu,) = cuda.devices()
gpu.load(16)
memory = Memory(gpu)
states = memory.piece(48)
launch = Launch("admit", (1, 1, 1), 32, 0, (pointer(0), integer(0), pointer(0), pointer(states)), "coding")
print(gpu.profile(Program([launch] * 3)), gpu.name, gpu.multiprocessors, round(gpu.bandwidth / 1e12, 2))
"""
    assert said(program, tmp_path) == "{'coding': 0.0015} Fake GPU 132 3.35\n"
