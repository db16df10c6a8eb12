"""Calls of the core on each of its paths, in a process of its own: NCZIP_ISA is read once."""

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
from nczip import _core, knowledge
job = pickle.load(sys.stdin.buffer)
%s
pickle.dump((_core.isa(), result), sys.stdout.buffer)
"""
STAGE = "result = getattr(_core.stages, job[0])(*job[1])"


def in_child(path: str, program: str, job: object) -> tuple[str, Any]:
    """The path that a process took, and the ``result`` of a program given ``job``, ``_core``, ``knowledge``.

    It is another path than ``path`` where this machine lacks that.
    """
    child = subprocess.run(
        [sys.executable, "-P", "-c", CHILD % program],
        env={**os.environ, "NCZIP_ISA": path},
        input=pickle.dumps(job),
        capture_output=True,
        check=True,
    )
    used, result = pickle.loads(child.stdout)
    return used, result


def skip_unless(used: str, path: str) -> None:
    if used != path:
        pytest.skip(f"this machine has no {path}")


def on_path(path: str, name: str, *arguments: object) -> Any:
    """What stage ``name`` gives on a path; skips the test where this machine lacks the path."""
    used, result = in_child(path, STAGE, (name, arguments))
    skip_unless(used, path)
    return result
