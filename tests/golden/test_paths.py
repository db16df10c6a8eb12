"""Every path of the core and any number of threads write and read the same archive of every corpus file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nczip import corpora

CEILINGS = ("scalar", *(("neon",) if os.uname().machine == "aarch64" else ("sse2", "avx2", "avx512")))
FILES = [
    pytest.param(path, id=path.name)
    for name in ("canterbury", "enwik8-1m")
    for path in corpora.present(corpora.catalog()[name], corpora.data_directory())
]


def nczip(ceiling: str, *words: str, data: bytes | None = None) -> bytes:
    """What ``nczip`` writes to standard output when the core may not go above ``ceiling``."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "nczip", *words],
        env={**os.environ, "NCZIP_ISA": ceiling},
        input=data,
        capture_output=True,
        check=True,
    ).stdout


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("level", [4, 5, 6])
@pytest.mark.parametrize("path", FILES)
def test_every_path_writes_and_reads_the_same_archive(path: Path, level: int) -> None:
    first = nczip(CEILINGS[0], f"-{level}", "-T1", "-c", str(path))
    for ceiling in CEILINGS[1:]:
        assert nczip(ceiling, f"-{level}", "-T1", "-c", str(path)) == first, ceiling
    for ceiling in (CEILINGS[0], CEILINGS[-1]):
        assert nczip(ceiling, "-dc", data=first) == path.read_bytes(), ceiling


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("level", [1, 3, 4, 5, 6])
@pytest.mark.parametrize("path", FILES)
def test_threads_change_nothing(path: Path, level: int) -> None:
    one, three = (
        nczip("", f"-{level}", threads, "--block-size=40000", "-c", str(path)) for threads in ("-T1", "-T3")
    )
    assert one == three
    assert nczip("", "-dc", "-T3", data=three) == path.read_bytes()
