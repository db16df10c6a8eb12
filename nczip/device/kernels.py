"""The kernels' source, compiled for one GPU when it is first needed, and kept on disk."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from nczip.device.launching import DeviceError
from nczip.places import user_data

PROGRAM = "language.cu"
HEADERS = (
    "tensor_core.hpp",
    "language_arithmetic.hpp",
    "range_decoder.hpp",
    "arithmetic.hpp",
    "host_device.hpp",
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


def options(architecture: str, head_dim: int) -> list[str]:
    """What nvcc and NVRTC are told: IEEE binary32 without contraction is part of the archive's definition."""
    return [
        f"-arch={architecture}",
        "-std=c++20",
        "-fmad=false",
        "-ftz=false",
        "-prec-div=true",
        "-prec-sqrt=true",
        "-DNCZ_ISA=device",
        f"-DNCZ_HEAD_DIM={head_dim}",
    ]


def load(architecture: str, head_dim: int) -> bytes:
    """The kernels for one architecture and size of a head: kept ones, or compiled and kept.

    A cache that is damaged or cannot be written costs time and nothing else. Raises DeviceError.
    """
    kept = user_data("kernels", "NCZIP_KERNEL_DIR") / f"{_name(architecture, head_dim)}.cubin"
    with contextlib.suppress(OSError):
        data = kept.read_bytes()
        if hashlib.sha256(data[_DIGEST:]).digest() == data[:_DIGEST]:
            return data[_DIGEST:]
    image = compiled(architecture, head_dim)
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


def _name(architecture: str, head_dim: int) -> str:
    """Names all that decides what the compiler makes of it."""
    digest = hashlib.sha256(repr(options(architecture, head_dim)).encode())
    for name in (PROGRAM, *HEADERS):
        digest.update(hashlib.sha256(source(name).read_bytes()).digest())
    digest.update(_compiler_version().encode())
    return f"{architecture}-{head_dim}-{digest.hexdigest()[:24]}"


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


def compiled(architecture: str, head_dim: int) -> bytes:
    """What NVRTC makes of the source. Raises DeviceError with what it has to say."""
    nvrtc = _nvrtc()
    success = nvrtc.nvrtcResult.NVRTC_SUCCESS
    try:
        bodies = [source(name).read_bytes() for name in HEADERS]
        names = [name.encode() for name in HEADERS]
        error, program = nvrtc.nvrtcCreateProgram(
            source(PROGRAM).read_bytes(), PROGRAM.encode(), len(names), bodies, names
        )
        if error != success:
            raise DeviceError(f"the compiler for CUDA failed: {error.name}")
        arguments = [option.encode() for option in options(architecture, head_dim)]
        (error,) = nvrtc.nvrtcCompileProgram(program, len(arguments), arguments)
        if error != success:
            _, size = nvrtc.nvrtcGetProgramLogSize(program)
            log = b" " * size
            nvrtc.nvrtcGetProgramLog(program, log)
            first = log.decode("utf-8", "replace").strip("\0 \n").split("\n")[0]
            raise DeviceError(f"the compiler for CUDA failed for {architecture}: {first or error.name}")
        error, size = nvrtc.nvrtcGetCUBINSize(program)
        image = b" " * size
        (error,) = nvrtc.nvrtcGetCUBIN(program, image)
        nvrtc.nvrtcDestroyProgram(program)
        if error != success:
            raise DeviceError(f"the compiler for CUDA gave no program: {error.name}")
        return bytes(image)
    except RuntimeError as missing:  # the package is here, and the library that it calls is not
        raise DeviceError(f"the compiler for CUDA cannot be loaded: {missing}") from None
