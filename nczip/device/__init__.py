"""The batched path of levels 7 and 8: many blocks side by side on a GPU, the same archives.

``serves`` says which blocks go there. Whatever a device cannot do, or no longer, the CPU does.
"""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nczip.container import LANGUAGE, Method
from nczip.errors import DeviceError as DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nczip.device.passes import Spelled
    from nczip.device.server import Server, Station

NAMES = ("auto", "cpu", "cuda")
LEVELS = (7, 8)  # what a device serves
IN_FLIGHT = (
    512  # blocks that are packed at a time: a pass has half as many or fewer, the rest is being prepared
)
UNPACKED = 256  # blocks of one job of unpacking,
UNPACKING = 16  # and such jobs at a time
HOST_BLOCK = 1 << 20  # bytes that a block in flight takes of the host's memory, its thread and tokens, about
JOBS_MEMORY = 1 << 30  # bytes that all blocks in flight take of it


class DeviceWarning(UserWarning):
    """A device could not do what it was asked for; the CPU does it, and the result is the same."""


@dataclass(frozen=True)
class Choice:
    """Where blocks are coded. ``name`` is one of NAMES; ``verify``: what a device packs is decoded again.

    ``cores``: of threads that share it so many compute at a time, while the others wait for a device.
    """

    name: str = "cpu"
    verify: bool = True
    cores: threading.Semaphore | None = field(default=None, compare=False)

    @contextmanager
    def computing(self) -> Iterator[None]:
        if self.cores is None:
            yield
            return
        with self.cores:
            yield

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within ``computing``."""
        if self.cores is None:
            yield
            return
        self.cores.release()
        try:
            yield
        finally:
            self.cores.acquire()


CPU = Choice()

_lock = threading.Lock()
_stations: Sequence[Station] | DeviceError | None = None
_servers: dict[tuple[Method, int], Server] = {}


def check(name: str) -> None:
    """Raises ValueError for what is no device."""
    if name not in NAMES:
        raise ValueError(f"a device is {', '.join(NAMES[:-1])} or {NAMES[-1]}, not {name!r}")


def serves(method: Method, name: str) -> bool:
    """Whether blocks of a method go to a device. Raises DeviceError where ``cuda`` has no usable GPU."""
    if name == "cpu" or method.id != LANGUAGE or not set(method.config[1:2]) & set(LEVELS):
        return False
    try:
        return bool(stations())
    except DeviceError:
        if name == "cuda":
            raise
        return False


def stations() -> Sequence[Station]:
    """Every GPU that can be used, found once. Raises DeviceError where there is none."""
    from nczip.device import cuda
    from nczip.device.server import Station

    global _stations
    with _lock:
        if _stations is None:
            try:
                _stations = [Station(device) for device in cuda.devices()]
            except DeviceError as error:
                _stations = error
        if isinstance(_stations, DeviceError):
            raise DeviceError(*_stations.args)
        return _stations


def in_flight(block_size: int, memory: int | None) -> int:
    """How many blocks are packed at a time, within ``memory`` bytes of the process."""
    share = JOBS_MEMORY if memory is None else memory // 2
    return max(1, min(IN_FLIGHT, share // (HOST_BLOCK + 4 * block_size)))


def unpacking(block_size: int, memory: int | None) -> int:
    """How many blocks are one job of unpacking; UNPACKING of these are done at a time."""
    share = (JOBS_MEMORY if memory is None else memory // 2) // UNPACKING
    return max(1, min(UNPACKED, share // (4 * block_size)))


def serving(method: Method, size: int) -> Server:
    """What serves blocks of a method, of about ``size`` bytes. Raises DeviceError, and as language.load."""
    from nczip import language
    from nczip.device.server import Server

    found = stations()
    model = language.load(method).model
    size = 1 << max(15, (size - 1).bit_length())
    with _lock:
        if (method, size) not in _servers:
            window = 1 << method.config[3]
            _servers[method, size] = Server(found, model, window, size, spelled=spelled(method, size))
        return _servers[method, size]


def spelled(method: Method, size: int) -> Spelled | None:
    """What blocks of ``size`` bytes take at level 8 beside what they take at level 7; None at that."""
    from nczip.device.passes import Spelled

    return Spelled(method.config[2], size) if method.config[1] == 8 else None


def warn(error: Exception | str) -> None:
    """The CPU goes on."""
    warnings.warn(f"{error}; the CPU does it instead", DeviceWarning, stacklevel=2)
