"""The kernels' source, compiled for one GPU when it is first needed, and kept on disk."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from nczip.device.launching import DeviceError
from nczip.places import user_data

LANGUAGE, SPELLING = "language.cu", "spelling.cu"
SPELLED = frozenset({"begin_spelling", "spell", "read_spelling"})  # the kernels of the latter
STANDARD = (  # headers that NVRTC lacks: one of ours stands for all of them
    *("algorithm", "array", "bit", "cmath", "cstddef", "cstdint", "cstring", "memory", "optional"),
    *("type_traits", "utility"),
)
NO_PACKAGES = "CUDA needs NVIDIA's Python packages: pip install 'nczip[cuda]' gets them"

# What a cubin is kept with, so that one that was cut or overwritten is made anew.
_DIGEST = 32


def folders() -> list[Path]:
    """Where the sources are: together in an installed package, or in two places of the repository."""
    package = Path(__file__).parents[1]
    installed = package / "kernels"
    return [installed] if installed.is_dir() else [package.parent / "cuda", package / "native"]


def source(name: str) -> Path:
    """One of the sources. Raises DeviceError if this installation lacks it."""
    for folder in folders():
        if (folder / name).is_file():
            return folder / name
    raise DeviceError(f"this installation of nczip lacks {name}, so there is nothing to run on a GPU")


def program_of(kernel: str) -> str:
    """The source that has a kernel."""
    return SPELLING if kernel in SPELLED else LANGUAGE


@functools.cache
def headers(program: str) -> dict[str, bytes]:
    """What a source includes, and what that includes, by name."""
    found: dict[str, bytes] = {}

    def follow(text: bytes) -> None:
        for name in re.findall(r'#include "(.+)"', text.decode()):
            if name not in found and name != "twin.hpp":
                found[name] = source(name).read_bytes()
                follow(found[name])

    follow(source(program).read_bytes())
    return found


def options(program: str, architecture: str, head_dim: int) -> list[str]:
    """What nvcc and NVRTC are told: IEEE binary32 without contraction is part of the archive's definition."""
    of_program = ["-DNCZ_SCALAR"] if program == SPELLING else [f"-DNCZ_HEAD_DIM={head_dim}"]
    return [
        f"-arch={architecture}",
        "-std=c++20",
        "-fmad=false",
        "-ftz=false",
        "-prec-div=true",
        "-prec-sqrt=true",
        "-DNCZ_ISA=device",
        *of_program,
    ]


def load(program: str, architecture: str, head_dim: int) -> bytes:
    """A source's kernels for one architecture and size of a head: kept ones, or compiled and kept.

    A cache that is damaged or cannot be written costs time and nothing else. Raises DeviceError.
    """
    kept = user_data("kernels", "NCZIP_KERNEL_DIR") / f"{_name(program, architecture, head_dim)}.cubin"
    with contextlib.suppress(OSError):
        data = kept.read_bytes()
        if hashlib.sha256(data[_DIGEST:]).digest() == data[:_DIGEST]:
            return data[_DIGEST:]
    image = compiled(program, architecture, head_dim)
    with contextlib.suppress(OSError):
        _keep(kept, hashlib.sha256(image).digest() + image)
    return image


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, fresh = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def _name(program: str, architecture: str, head_dim: int) -> str:
    """Names all that decides what the compiler makes of it."""
    given = options(program, architecture, head_dim)
    digest = hashlib.sha256(repr(given).encode())
    standard = source("standard.hpp").read_bytes()
    for text in (source(program).read_bytes(), standard, *headers(program).values()):
        digest.update(hashlib.sha256(text).digest())
    digest.update(_compiler_version().encode())
    return f"{Path(program).stem}-{architecture}-{digest.hexdigest()[:24]}"


@functools.cache
def _compiler_version() -> str:
    nvrtc = _nvrtc()
    error, major, minor = nvrtc.nvrtcVersion()
    return f"{error} {major}.{minor}"


def _nvrtc() -> Any:
    try:
        from cuda.bindings import nvrtc
    except ImportError:
        raise DeviceError(NO_PACKAGES) from None
    return nvrtc


def compiled(program: str, architecture: str, head_dim: int) -> bytes:
    """What NVRTC makes of a source: a cubin, or PTX for a virtual architecture (compute_90).

    Raises DeviceError with what it has to say.
    """
    nvrtc = _nvrtc()
    success = nvrtc.nvrtcResult.NVRTC_SUCCESS
    ours = {"standard.hpp": source("standard.hpp").read_bytes(), **headers(program)}
    ours |= dict.fromkeys(STANDARD, b'#include "standard.hpp"\n')
    try:
        error, handle = nvrtc.nvrtcCreateProgram(
            source(program).read_bytes(),
            program.encode(),
            len(ours),
            list(ours.values()),
            [name.encode() for name in ours],
        )
        if error != success:
            raise DeviceError(f"the compiler for CUDA failed: {error.name}")
        arguments = [option.encode() for option in options(program, architecture, head_dim)]
        arguments.append(b"-default-device")  # the core's functions are the GPU's
        (error,) = nvrtc.nvrtcCompileProgram(handle, len(arguments), arguments)
        if error != success:
            _, size = nvrtc.nvrtcGetProgramLogSize(handle)
            log = b" " * size
            nvrtc.nvrtcGetProgramLog(handle, log)
            first = log.decode("utf-8", "replace").strip("\0 \n").split("\n")[0]
            raise DeviceError(f"the compiler for CUDA failed for {architecture}: {first or error.name}")
        kind = "PTX" if architecture.startswith("compute") else "CUBIN"
        error, size = getattr(nvrtc, f"nvrtcGet{kind}Size")(handle)
        image = b" " * size
        (error,) = getattr(nvrtc, f"nvrtcGet{kind}")(handle, image)
        nvrtc.nvrtcDestroyProgram(handle)
        if error != success:
            raise DeviceError(f"the compiler for CUDA gave no program: {error.name}")
        return bytes(image)
    except RuntimeError as missing:  # the package is here, and the library that it calls is not
        raise DeviceError(f"the compiler for CUDA cannot be loaded: {missing}") from None
