"""Runs one command and prints seconds, peak memory and exit status: ``measure.py STDOUT STDERR COMMAND...``

This is a process of its own, started with -I -S, because Linux counts into a program's peak memory what the
process that started it had resident: started from a whole nczip, gzip would seem to take 30 MB. What is left
of that is FLOOR, which is why so little is imported here.
"""

import os
import sys
import time

FLOOR = 8_000_000  # bytes: a peak below this is that of this process


def run(stdout: str, stderr: str, command: list[str]) -> tuple[float, int, int]:
    """Wall seconds, peak resident bytes (0 where the platform does not tell) and exit status."""
    with open(stdout, "wb") as out, open(stderr, "wb") as err:  # noqa: PTH123 (pathlib would add to the memory)
        start = time.perf_counter()
        if not hasattr(os, "fork"):
            import subprocess

            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False)
            return time.perf_counter() - start, 0, done.returncode
        child = os.fork()
        if child == 0:
            _become(command, out.fileno(), err.fileno())
        _, wait_status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_maxrss * unit, os.waitstatus_to_exitcode(wait_status)


def _become(command: list[str], stdout: int, stderr: int) -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.execvp(command[0], command)
    finally:
        os._exit(127)


if __name__ == "__main__":
    print(*run(sys.argv[1], sys.argv[2], sys.argv[3:]))
