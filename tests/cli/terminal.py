"""Programs run on a pseudo-terminal: what a person would type and see."""

import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PATIENCE = 60.0  # seconds until a program that says nothing counts as stuck
BIN = Path(sys.executable).parent


def environment() -> dict[str, str]:
    """The same for everybody: no locale, no settings, the programs under test first."""
    return {
        "PATH": f"{BIN}{os.pathsep}{os.defpath}",
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm",
        "HOME": "/nonexistent",
        "PYTHONWARNINGS": "error",
    }


class Terminal:
    """A program with a terminal for those of its standard streams that are not given."""

    def __init__(
        self,
        *command: str,
        cwd: Path,
        stdin: IO[bytes] | int | None = None,
        stdout: IO[bytes] | int | None = None,
        columns: int = 80,
        **environ: str,
    ) -> None:
        self.seen = b""
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment() | environ,
            stdin=slave if stdin is None else stdin,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def expect(self, text: str) -> str:
        """Everything seen by the time ``text`` is; AssertionError if it never comes."""
        deadline = time.monotonic() + PATIENCE
        while text.encode() not in self.seen:
            if not self._more(deadline):
                raise AssertionError(f"{text!r} was never shown, last {self.seen[-200:]!r}")
        return self.seen.decode(errors="backslashreplace")

    def end(self) -> tuple[int, str]:
        """The exit status, and all that was shown, with plain line ends."""
        deadline = time.monotonic() + PATIENCE
        while self._more(deadline):
            pass
        return self.process.wait(PATIENCE), self.seen.decode().replace("\r\n", "\n")

    def _more(self, deadline: float) -> bool:
        if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"nothing happens after {self.seen[-200:]!r}")
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # Linux's way to say that nobody has the terminal open any more
            return False
        self.seen += data
        return bool(data)
