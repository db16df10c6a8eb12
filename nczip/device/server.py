"""Devices that serve threads: each brings a block and waits; these pass through the model side by side."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillWaiting
from functools import partial
from typing import Generic, TypeVar

from nczip.device import lockstep
from nczip.device.launching import Array, Device, DeviceError
from nczip.device.passes import Spelled
from nczip.device.weights import Weights
from nczip.errors import CorruptError
from nczip.models.ncm import Model

T = TypeVar("T")
R = TypeVar("R")
Engine = TypeVar("Engine", bound=lockstep.Lockstep)

POLL = 0.1  # seconds between two looks at whether somebody still waits
IDLE = 0.5  # seconds without work until a device's memory is given back
MOST_PACKED = 1.25  # packed bytes of a block, beside its content; what is larger is left to the CPU


class _Queue(Generic[T, R]):
    """Blocks that wait for any of several devices, and who waits for them."""

    def __init__(self, devices: int) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[tuple[T, Future[R]]] = deque()
        self._devices = devices
        self._error: DeviceError | None = None

    def put(self, block: T) -> Future[R]:
        """Raises DeviceError once no device is left."""
        future: Future[R] = Future()
        with self._changed:
            if self._error is not None:
                raise _again(self._error)
            self._waiting.append((block, future))
            self._changed.notify()
        return future

    def wait(self) -> None:
        """Until there is a block."""
        with self._changed:
            while not self._waiting:
                self._changed.wait()

    def take(self, idle: bool) -> tuple[T, Future[R]] | None:
        """The next block; None if there is none, and if ``idle`` none for some time."""
        end = time.monotonic() + IDLE
        with self._changed:
            while True:
                while self._waiting:
                    block, future = self._waiting.popleft()
                    if future.running() or future.set_running_or_notify_cancel():
                        return block, future
                left = end - time.monotonic()
                if not idle or left <= 0:
                    return None
                self._changed.wait(left)

    def lost(self, blocks: Sequence[tuple[T, Future[R]]], error: DeviceError) -> None:
        """A device has failed: the others do what it had. If there are none, all that waits has failed."""
        with self._changed:
            self._devices -= 1
            if self._devices:
                self._waiting.extendleft(blocks)
                self._changed.notify_all()
                return
            self._error = _again(error)
            blocks = [*blocks, *self._waiting]
            self._waiting.clear()
        for _, future in blocks:
            if future.running() or future.set_running_or_notify_cancel():
                future.set_exception(_again(error))


class _Turns:
    """What a device's memory is for: packing, or unpacking. One waits until the other gives it back."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._purpose: object = None
        self._engines = 0

    def begin(self, purpose: object) -> None:
        with self._changed:
            while self._engines and self._purpose != purpose:
                self._changed.wait()
            self._purpose = purpose
            self._engines += 1

    def end(self) -> None:
        with self._changed:
            self._engines -= 1
            self._changed.notify_all()


class Station:
    """A device, the models that are in its memory, and whose turn the rest of it is."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.turns = _Turns()
        self._loading = threading.Lock()
        self._weights: dict[bytes, Weights] = {}

    def weights(self, model: Model) -> Weights:
        """The model on the device, brought there when it is first needed."""
        with self._loading:
            if model.id not in self._weights:
                header = model.header
                self._weights[model.id] = Weights(
                    self.device, header["architecture"], header["attention"], dict(model.tensors)
                )
            return self._weights[model.id]


class _Worker(Generic[Engine, T, R]):
    """The thread that keeps one device busy with one kind of work."""

    def __init__(
        self,
        queue: _Queue[T, R],
        station: Station,
        purpose: object,
        engine: Callable[[Station], Engine],
        work: Callable[[Engine, lockstep.Feed[T]], Iterator[tuple[int, R]]],
    ) -> None:
        self._queue, self._station, self._purpose = queue, station, purpose
        self._engine, self._work = engine, work
        self._taken: dict[int, tuple[T, Future[R]]] = {}
        self._count = 0
        threading.Thread(target=self._run, name="nczip device", daemon=True).start()

    def take(self, idle: bool) -> T | None:
        """What the device asks for next (lockstep.Feed)."""
        found = self._queue.take(idle)
        if found is None:
            return None
        self._taken[self._count] = found
        self._count += 1
        return found[0]

    def _run(self) -> None:
        try:
            while True:
                self._queue.wait()
                self._station.turns.begin(self._purpose)
                try:
                    self._serve()
                finally:
                    self._station.turns.end()
        except DeviceError as error:
            self._queue.lost([*self._taken.values()], error)
        except BaseException as error:  # a mistake of ours: nobody shall wait for ever
            self._queue.lost([*self._taken.values()], DeviceError(f"the GPU's thread failed: {error!r}"))

    def _serve(self) -> None:
        """Until there is nothing to do for a while."""
        self._count = 0
        engine = self._engine(self._station)
        try:
            for number, result in self._work(engine, self):
                _, future = self._taken.pop(number)
                future.set_result(result)
        finally:
            engine.close()


class Server:
    """Blocks of one model and window on some devices. Its calls come from many threads, and wait.

    ``size``: bytes of content that a block has at most; ``blocks``: as many side by side at most, where that
    is not for the memory to say; ``spelled``: for level 8. Every call raises DeviceError when no device is
    left.
    """

    def __init__(
        self,
        stations: Sequence[Station],
        model: Model,
        window: int,
        size: int,
        blocks: int | None = None,
        spelled: Spelled | None = None,
    ) -> None:
        self.most_packed = int(size * MOST_PACKED) + 64
        count = len(stations)
        self._packing: _Queue[Array, bytes] = _Queue(count)
        self._checking: _Queue[tuple[Array, bytes, int], bool] = _Queue(count)
        self._unpacking: _Queue[tuple[int, bytes], bytes | CorruptError] = _Queue(count)
        few, many = blocks or lockstep.ENCODED_ROWS, blocks or lockstep.DECODED_BLOCKS

        def encoder(station: Station) -> lockstep.Encoder:
            return lockstep.encoder(station.weights(model), window, few, spelled=spelled)

        def checker(station: Station) -> lockstep.Checker:
            return lockstep.checker(station.weights(model), window, few, self.most_packed, spelled=spelled)

        def decoder(station: Station) -> lockstep.Decoder:
            return lockstep.decoder(station.weights(model), window, many, self.most_packed, spelled)

        for station in stations:
            packing, unpacking = (self, "packing"), (self, "unpacking")
            _Worker(self._packing, station, packing, encoder, lockstep.Encoder.encode)
            _Worker(self._checking, station, packing, checker, lockstep.Checker.check)
            _Worker(self._unpacking, station, unpacking, decoder, lockstep.Decoder.decode)

    def pack(self, tokens: Array, wait: Callable[[], None]) -> bytes:
        """The packed bytes of a block's tokens. ``wait`` is called now and then, and may raise to give up."""
        return _result(self._packing.put(tokens), wait)

    def check(self, tokens: Array, packed: bytes, size: int, wait: Callable[[], None]) -> bool:
        """Whether packed bytes are decoded to the tokens and ``size`` bytes that they were made of."""
        if len(packed) > self.most_packed:
            return False
        return _result(self._checking.put((tokens, packed, size)), wait)

    def unpack(
        self, blocks: Sequence[tuple[int, bytes]], wait: Callable[[int], None]
    ) -> list[bytes | CorruptError | None]:
        """Contents of blocks, as ``lockstep.Decoder.decode`` gives them; None for what is too large.

        ``wait`` hears now and then how many are done.
        """
        futures = [
            self._unpacking.put(block) if len(block[1]) <= self.most_packed else None for block in blocks
        ]
        results: list[bytes | CorruptError | None] = []
        try:
            for done, future in enumerate(futures):
                results.append(None if future is None else _result(future, partial(wait, done)))
        except BaseException:
            for future in futures:
                if future is not None:
                    future.cancel()
            raise
        return results


def _again(error: DeviceError) -> DeviceError:
    """The same error for somebody else: one that is raised keeps alive what its frames hold."""
    return type(error)(*error.args)


def _result(future: Future[R], wait: Callable[[], None]) -> R:
    while True:
        try:
            return future.result(timeout=POLL)
        except StillWaiting:
            try:
                wait()
            except BaseException:
                future.cancel()
                raise
