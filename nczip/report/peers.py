"""The compressors that a report runs: nczip at its levels, and the other programs that are installed."""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from nczip import knowledge, levels
from nczip.report import measure

_VERSION = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True)
class Codec:
    """A program, and how it is called in a directory with ``input``, to write ``packed.*``, then ``output``.

    The two commands are argument lists in one string; ``> FILE`` at the end says where standard output goes.
    """

    name: str
    program: tuple[str, ...]
    compress: str
    decompress: str
    version_option: str = "--version"
    model: int = 0  # bytes of the language model that decoding needs beside the archive
    knowledge: int = 0  # and bytes of what comes with the program

    @property
    def packed(self) -> str:
        """The name of the archive in the working directory."""
        return next(word for word in self.decompress.split() if word.startswith("packed."))

    @property
    def installed(self) -> bool:
        return shutil.which(self.program[0]) is not None

    def version(self) -> str:
        """The first thing like a version number that the program says of itself; empty if none."""
        try:
            said = subprocess.run(
                [*self.program, self.version_option],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=30,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        found = _VERSION.search((said.stdout + said.stderr).decode(errors="replace"))
        return found[0] if found else ""


# One core each, so that speeds compare.
PEERS = (
    Codec("gzip -9", ("gzip",), "-9 -n -c input > packed.gz", "-d -c packed.gz > output"),
    Codec("bzip2 -9", ("bzip2",), "-9 -c input > packed.bz2", "-d -c packed.bz2 > output"),
    Codec("xz -9e", ("xz",), "-9e -T1 -c input > packed.xz", "-d -T1 -c packed.xz > output"),
    Codec("zstd -22", ("zstd",), "-q --ultra -22 -T1 -c input > packed.zst", "-q -d -c packed.zst > output"),
    Codec("brotli -q11 -w24", ("brotli",), "-q 11 -w 24 -c input > packed.br", "-d -c packed.br > output"),
    Codec(
        "7z PPMd o16",
        ("7z",),
        "a -m0=PPMd:o=16:mem=256m -mmt=1 -bd packed.7z input",
        "e -so packed.7z > output",
        version_option="i",
    ),
    Codec(
        "zpaq -m5",
        ("zpaq",),
        "add packed.zpaq input -m5 -t1",
        "extract packed.zpaq input -to output -t1",
        version_option="help",
    ),
)


def nczip(level: int, model: str | None = None) -> Codec:
    """This nczip itself, as the process that a user starts.

    ``model`` is the language model of levels 7 to 9, None the default one. Raises MissingModelError if it is
    not in the folder of models, and ModelFileError.
    """
    options, model_size = f"-{level}", 0
    if level in levels.LANGUAGE_LEVELS:
        from nczip import language
        from nczip.models import store

        id_ = language.find(model)
        options += f" -m {id_.hex()}"
        model_size = store.by_id(id_).stat().st_size
    return Codec(
        f"nczip -{level}",
        (sys.executable, "-P", "-m", "nczip"),
        f"{options} -T1 -c input > packed.ncz",
        "-d -T1 -c packed.ncz > output",
        model=model_size,
        knowledge=0 if level in levels.ZSTD_LEVELS else knowledge.packed_size(),
    )


@dataclass(frozen=True)
class Run:
    """What one command took: wall seconds, peak resident bytes where known, and what went wrong."""

    seconds: float
    memory: int | None
    trouble: str


def run(codec: Codec, command: str, directory: Path) -> Run:
    """Runs one of the codec's commands in ``directory``; whatever ends this process ends the program too."""
    arguments, _, stdout = command.partition(" > ")
    measured = [sys.executable, "-I", "-S", measure.__file__, stdout or "stdout", "stderr"]
    with subprocess.Popen(
        [*measured, *codec.program, *arguments.split()],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as helper:
        try:
            answer, _ = helper.communicate()
        except BaseException:
            _end(helper)
            raise
    if helper.returncode:
        return Run(0.0, None, f"{codec.program[0]} could not be run")
    seconds, memory, status = answer.split()
    return Run(float(seconds), int(memory) or None, _trouble(int(status), directory / "stderr"))


def _end(helper: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        helper.kill()
    else:
        # The session that the helper leads holds the program that it measures.
        os.killpg(helper.pid, signal.SIGKILL)


def _trouble(status: int, stderr: Path) -> str:
    if status == 0:
        return ""
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    said = stderr.read_text(errors="replace").strip().splitlines()
    return f"{how}: {said[-1].strip()[:100]}" if said else how
