"""What the batched path asks of a device: memory, and kernels that run one after the other."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nczip.errors import DeviceError as DeviceError

Array = npt.NDArray[Any]
Address = int  # in a device's memory; 0 is nothing


class DeviceMemoryError(DeviceError):
    """The device has not enough memory for it."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel over a grid of blocks. ``shared`` is bytes; ``stage`` is what it counts as in a profile."""

    kernel: str
    grid: tuple[int, int, int]
    threads: int
    shared: int
    arguments: tuple[ctypes._SimpleCData[Any], ...]
    stage: str


class Program:
    """Launches that are run over and over; a device may keep what it makes of them in ``prepared``."""

    def __init__(self, launches: Sequence[Launch]) -> None:
        self.launches = tuple(launches)
        self.prepared: Any = None


class Device(Protocol):
    """A stream of work: calls return before it is done, but for ``download`` and ``wait``.

    Every call raises DeviceMemoryError or DeviceError.
    """

    @property
    def name(self) -> str: ...
    @property
    def peak(self) -> float | None:
        """Operations on 8-bit integers a second, 2 a multiply-add, that products can take; None: unknown."""

    @property
    def bandwidth(self) -> float | None:
        """Bytes a second from the device's memory."""

    def free_memory(self) -> int:
        """Bytes that can be had."""

    def most_shared(self) -> int:
        """Bytes of shared memory that a launch may ask for."""

    def load(self, head_dim: int) -> None:
        """Makes the kernels for models with heads of that size ready; to be called before any launch."""

    def allocate(self, size: int) -> Address: ...
    def free(self, address: Address) -> None: ...
    def upload(self, address: Address, data: Array) -> None: ...
    def download(self, address: Address, data: Array) -> None:
        """Fills ``data``, once all that was asked for before is done."""

    def run(self, program: Program) -> None: ...
    def forget(self, program: Program) -> None:
        """Gives back what was made of a program that is run no more."""

    def profile(self, program: Program) -> dict[str, float]:
        """Runs a program kernel by kernel; returns seconds of each stage."""

    def wait(self) -> None: ...


def integer(value: int) -> ctypes.c_int:
    return ctypes.c_int(value)


def real(value: float) -> ctypes.c_float:
    return ctypes.c_float(value)


def long(value: int) -> ctypes.c_uint64:
    return ctypes.c_uint64(value)


def pointer(address: Address) -> ctypes.c_void_p:
    return ctypes.c_void_p(address)


class Memory:
    """Pieces of a device's memory that are freed together."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.size = 0
        self._pieces: list[Address] = []

    def piece(self, size: int) -> Address:
        """``size`` bytes of undefined content."""
        address = self.device.allocate(max(size, 1))
        self._pieces.append(address)
        self.size += size
        return address

    def holding(self, data: Array) -> Address:
        """A piece that holds ``data``."""
        data = np.ascontiguousarray(data)
        address = self.piece(data.nbytes)
        self.device.upload(address, data)
        return address

    def free(self) -> None:
        pieces, self._pieces = self._pieces, []
        for address in pieces:
            self.device.free(address)
