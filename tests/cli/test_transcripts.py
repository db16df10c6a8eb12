"""Each script of ``transcripts`` beside exactly what it prints: standard output, standard error, exit status.

A script runs under bash in an empty directory of its own, with no terminal and nothing on standard input.
Sizes that depend on a library's version go through ``mask``. ``NCZIP_TRANSCRIBE=1 pytest tests/cli`` writes
down what the scripts print now, to be read before it is committed.
"""

import os
import subprocess
from pathlib import Path

import pytest
import speaking
from terminal import BIN, environment

TRANSCRIPTS = Path(__file__).parent / "transcripts"

PRELUDE = r"""
mask() { sed -E 's/[0-9.]+( ?(B|KiB|MiB|%))/#\1/g; s/[0-9.]+ bits/# bits/g'; }
notes() { seq -f 'Note %g: the quick brown fox jumps over the lazy dog.' "${1:-100}"; }
spoken() { seq -f 'line %g: the coder mixes what a model has seen of bits' "${1:-20}"; }
"""


@pytest.mark.parametrize("script", sorted(TRANSCRIPTS.glob("*.sh")), ids=lambda path: path.stem)
def test_transcript(script: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", PRELUDE + script.read_text()],
        cwd=tmp_path,
        env=environment() | {"MODELS": str(speaking.MODELS)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    said = f"-- status {done.returncode}\n-- stdout\n{text(done.stdout)}-- stderr\n{text(done.stderr)}"
    expected = script.with_suffix(".txt")
    if os.environ.get("NCZIP_TRANSCRIBE"):
        expected.write_text(said)
    assert said == expected.read_text()


def text(output: bytes) -> str:
    """As it was printed, but for the hash of the tiny model, which changes with the format of models."""
    return output.decode(errors="backslashreplace").replace(speaking.ID, "0123456789abcdef")


def test_every_script_has_its_transcript() -> None:
    assert {path.stem for path in TRANSCRIPTS.glob("*.sh")} == {
        path.stem for path in TRANSCRIPTS.glob("*.txt")
    }


def test_the_programs_are_installed() -> None:
    assert all((BIN / name).exists() for name in ("nczip", "unnczip", "nczcat"))
