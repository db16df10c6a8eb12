"""The kernels through NVIDIA's compilers, where these are; no GPU is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nczip.device import kernels

HEAD_DIMS = (16, 64, 256)


@pytest.mark.parametrize("architecture", [80, 90])
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_nvcc_compiles_every_kernel(architecture: int, head_dim: int, tmp_path: Path) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("needs nvcc")
    found = []
    for kind in ("-ptx", "-cubin"):
        out = tmp_path / "out"
        command = [
            nvcc,
            kind,
            "-Werror",
            "all-warnings",
            *kernels.options(kernels.LANGUAGE, f"sm_{architecture}", head_dim),
        ]
        command += [f"-I{path}" for path in kernels.folders()]
        subprocess.run([*command, "-o", str(out), str(kernels.source("language.cu"))], check=True)
        found.append(out.read_bytes())
    ptx, cubin = found
    # What decides the last bit: nothing contracted, approximate or flushed.
    assert not re.findall(rb"fma|approx|ftz", ptx)
    assert b"mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32" in ptx
    names = set(re.findall(rb"\.entry (\w+)", ptx))
    assert {b"embed", b"attend_few", b"multiply_many", b"intervals", b"decode", b"admit"} < names
    assert all(name in cubin for name in names)


def test_nvrtc_compiles_what_level_8_has_beside() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    ptx = kernels.compiled(kernels.SPELLING, "compute_80", 0)
    assert not re.findall(rb"fma|approx|ftz", ptx)
    assert set(re.findall(rb"\.entry (\w+)", ptx)) == {name.encode() for name in kernels.SPELLED}
    for architecture in ("sm_80", "sm_90"):
        assert kernels.compiled(kernels.SPELLING, architecture, 0)[:4] == b"\x7fELF"


@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_nvrtc_compiles_every_kernel(head_dim: int) -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    assert kernels.compiled(kernels.LANGUAGE, "sm_90", head_dim)[:4] == b"\x7fELF"
