"""Being told to stop: Ctrl-C, kill and a closed terminal end the work through one exception."""

import signal
from types import FrameType

_received: int | None = None


class Stopped(KeyboardInterrupt):
    """A signal asks to stop; ``status`` is the exit status that says so."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


def catch() -> None:
    """From here on SIGINT, SIGTERM and SIGHUP raise Stopped."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # SIGHUP is not everywhere
        # What nohup or a shell's & made harmless stays harmless.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def check() -> None:
    """Raises Stopped again if it was lost: Python drops what is raised in the callback of a dying object."""
    if _received is not None:
        raise Stopped(_received)


def _stop(number: int, _: FrameType | None) -> None:
    global _received
    _received = number
    raise Stopped(number)
