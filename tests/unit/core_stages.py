"""Calls of the core's stages on each of its paths, in a process of its own: NCZIP_ISA is read once."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import Any

import pytest

PATHS = ("scalar", *(("neon",) if os.uname().machine == "aarch64" else ("sse2", "avx2", "avx512", "vnni")))

CHILD = """
import pickle, sys
from nczip import _core
name, arguments = pickle.load(sys.stdin.buffer)
result = getattr(_core.stages, name)(*arguments)
pickle.dump((_core.isa(), result), sys.stdout.buffer)
"""


def on_path(path: str, name: str, *arguments: object) -> Any:
    """What stage ``name`` gives on a path; skips the test where this machine lacks the path."""
    child = subprocess.run(
        [sys.executable, "-P", "-c", CHILD],
        env={**os.environ, "NCZIP_ISA": path},
        input=pickle.dumps((name, arguments)),
        capture_output=True,
        check=True,
    )
    used, result = pickle.loads(child.stdout)
    if used != path:
        pytest.skip(f"this machine has no {path}")
    return result
