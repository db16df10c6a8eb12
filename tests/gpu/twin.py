"""The kernels on the CPU (cuda/twin.hpp), as a device for what runs them on CUDA."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from nczip.device import kernels
from nczip.device.launching import Address, Array, DeviceError, DeviceMemoryError, Launch, Program

ROOT = Path(__file__).parents[2]
SOURCES = [*ROOT.glob("cuda/*"), *ROOT.glob("nczip/native/*.hpp"), Path(__file__).with_suffix(".cpp")]
FLAGS = [
    *("-std=c++20", "-O2", "-shared", "-fPIC", "-ffp-contract=off", "-fno-fast-math", "-U_FORTIFY_SOURCE"),
    *("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-DNCZ_TWIN", "-DNCZ_ISA=twin_isa"),
    "-DNCZ_SCALAR",
    *(f"-I{ROOT / 'cuda'}", f"-I{ROOT / 'nczip/native'}", f"-I{Path(__file__).parent}"),
]
SHARED = 227 << 10  # bytes: of an H100


def compile_library(name: str, sources: list[Path], options: list[str]) -> Path:
    """A library in build/, made again if a source has changed."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    built = ROOT / "build" / "twin" / name
    if not built.exists() or built.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        built.parent.mkdir(parents=True, exist_ok=True)
        fresh = built.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, *FLAGS, *options, "-o", str(fresh)], check=True)
        fresh.replace(built)
    return built


@functools.cache
def library(program: str, head_dim: int) -> ctypes.PyDLL:
    """A source's kernels for one size of a head."""
    source = Path(__file__).with_suffix(".cpp")
    spelling = program == kernels.SPELLING
    of_program = "-DNCZ_SPELLING" if spelling else f"-DNCZ_HEAD_DIM={head_dim}"
    built = compile_library(f"{'spelling' if spelling else head_dim}.so", SOURCES, [of_program, str(source)])
    return ctypes.PyDLL(str(built))  # which holds the interpreter's lock: the twin has one of everything


class Twin:
    """A device whose memory is Python's. ``memory``: bytes that it has; ``lasts``: runs until it vanishes."""

    name = "twin"
    peak = 1e9
    bandwidth = None

    def __init__(self, memory: int = 1 << 30, shared: int = SHARED, lasts: int | None = None) -> None:
        self.memory, self.shared, self.lasts = memory, shared, lasts
        self.used = 0
        self.launches = 0
        self._held: dict[Address, Array] = {}
        self._head_dim = 0
        self._lock = threading.Lock()

    def free_memory(self) -> int:
        return self.memory - self.used

    def most_shared(self) -> int:
        return self.shared

    def load(self, head_dim: int) -> None:
        self._head_dim = head_dim

    def allocate(self, size: int) -> Address:
        if size > self.memory - self.used:
            raise DeviceMemoryError("the twin has not enough memory")
        raw = np.full(size + 256, 0x7F, np.uint8)  # nothing to rely on
        address = -(-raw.ctypes.data // 256) * 256
        self._held[address] = raw
        self.used += size + 256
        return address

    def free(self, address: Address) -> None:
        self.used -= len(self._held.pop(address))

    def upload(self, address: Address, data: Array) -> None:
        data = np.ascontiguousarray(data)
        ctypes.memmove(address, data.ctypes.data, data.nbytes)

    def download(self, address: Address, data: Array) -> None:
        assert data.flags.c_contiguous
        ctypes.memmove(data.ctypes.data, address, data.nbytes)

    def run(self, program: Program) -> None:
        if self.lasts is not None:
            self.lasts -= 1
            if self.lasts < 0:
                raise DeviceError("the twin has vanished")
        with self._lock:
            for launch in program.launches:
                self._launch(launch)

    def forget(self, program: Program) -> None:
        pass

    def profile(self, program: Program) -> dict[str, float]:
        spent: dict[str, float] = {}
        for launch in program.launches:
            begin = time.perf_counter()
            self._launch(launch)
            spent[launch.stage] = spent.get(launch.stage, 0.0) + time.perf_counter() - begin
        return spent

    def wait(self) -> None:
        pass

    def _launch(self, launch: Launch) -> None:
        assert launch.shared <= self.shared
        self.launches += 1
        count = len(launch.arguments)
        arguments = (ctypes.c_void_p * count)(*(ctypes.addressof(one) for one in launch.arguments))
        grid = (ctypes.c_uint * 3)(*launch.grid)
        name = launch.kernel.encode()
        of_program = library(kernels.program_of(launch.kernel), self._head_dim)
        assert of_program.twin_launch(name, grid, launch.threads, launch.shared, arguments) == 0
