"""What nczip says that it takes is not less than what it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nczip import levels

PEAK = """
import sys
from nczip.cli.main import main
status = main()
if not status:
    print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
sys.exit(status)
"""


def peak(*arguments: str) -> int:
    """Most bytes resident at a time; from this process a child would inherit what getrusage says."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, "-T1", *arguments], capture_output=True, check=True, text=True
    )
    return int(done.stdout) << 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's own figure")
@pytest.mark.parametrize("level", levels.LEVELS)
@pytest.mark.parametrize("size", [1, 100_000])
def test_peak(level: int, size: int, tmp_path: Path) -> None:
    content, archive = tmp_path / "content", tmp_path / "content.ncz"
    content.write_bytes(
        b"".join(b"line %d: each one of %d bits, " % (i, i * i) for i in range(20_000))[:size]
    )
    for direction, peak_size in (
        ("compress", peak(f"-{level}", str(content))),
        ("decompress", peak("-df", str(archive))),
    ):
        assert peak_size <= levels.memory(level, 1, direction, size)
