"""NVIDIA GPUs through the driver's own interface (cuda-python's ``cuda.bindings``)."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np

from nczip.device import kernels
from nczip.device.launching import Address, Array, DeviceError, DeviceMemoryError, Launch, Program

LEAST_ARCHITECTURE = (8, 0)  # the products need it
LEAST_DRIVER = 12000  # CUDA 12.0, as the driver counts
# Operations on 8-bit integers of a multiprocessor and cycle, without sparsity (NVIDIA's architecture papers).
OPERATIONS = {(8, 0): 4096, (8, 6): 2048, (8, 9): 2048, (9, 0): 8192}


def devices() -> list[CudaDevice]:
    """Every GPU that nczip can use. Raises DeviceError where there is none, with what is in the way."""
    driver = _driver()
    try:
        _check(driver.cuInit(0), "start")
        version = _check(driver.cuDriverGetVersion(), "tell its version")
        if version < LEAST_DRIVER:
            raise DeviceError(f"NVIDIA's driver is too old: it knows CUDA {version // 1000}, nczip needs 12")
        count = _check(driver.cuDeviceGetCount(), "count GPUs")
    except RuntimeError:  # the package looks for the driver's library at the first call
        raise DeviceError("there is no NVIDIA driver on this machine") from None
    old: list[CudaDevice] = []
    found: list[CudaDevice] = []
    for number in range(count):
        device = CudaDevice(number)
        (found if device.architecture >= LEAST_ARCHITECTURE else old).append(device)
    if not found and old:
        raise DeviceError(f"{old[0].name} is too old: nczip needs compute capability 8.0")
    if not found:
        raise DeviceError("there is no NVIDIA GPU on this machine")
    return found


def _driver() -> Any:
    try:
        from cuda.bindings import driver
    except ImportError:
        raise DeviceError(kernels.NO_PACKAGES) from None
    return driver


def _check(result: tuple[Any, ...], what: str) -> Any:
    """What a call of the driver gives, or its error as ours."""
    error, *values = result
    if error.value == 0:
        return values[0] if values else None
    name = error.name.removeprefix("CUDA_ERROR_").lower().replace("_", " ")
    if error.name == "CUDA_ERROR_OUT_OF_MEMORY":
        raise DeviceMemoryError("the GPU has not enough memory")
    raise DeviceError(f"the GPU could not {what}: {name}")


class CudaDevice:
    """One GPU, with one stream of work. Its calls may come from several threads."""

    def __init__(self, number: int) -> None:
        self._api = _driver()
        self._lock = threading.RLock()
        self._device = _check(self._api.cuDeviceGet(number), "be found")
        name = _check(self._api.cuDeviceGetName(128, self._device), "tell its name")
        self.name = name.split(b"\0")[0].decode("utf-8", "replace")
        self.architecture = (
            self._attribute("COMPUTE_CAPABILITY_MAJOR"),
            self._attribute("COMPUTE_CAPABILITY_MINOR"),
        )
        self.multiprocessors = self._attribute("MULTIPROCESSOR_COUNT")
        self.clock = self._attribute("CLOCK_RATE") * 1000.0  # Hz, at most
        self.bandwidth = (  # bytes a second, both edges of the clock
            self._attribute("MEMORY_CLOCK_RATE") * 1000.0 * self._attribute("GLOBAL_MEMORY_BUS_WIDTH") / 8 * 2
        )
        self._shared = self._attribute("MAX_SHARED_MEMORY_PER_BLOCK_OPTIN")
        self._context: Any = None
        self._stream: Any = None
        self._head_dim = 0
        self._functions: dict[str, Any] = {}
        self._modules: dict[str, Any] = {}  # by source

    def _attribute(self, name: str) -> int:
        key = getattr(self._api.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(_check(self._api.cuDeviceGetAttribute(key, self._device), "describe itself"))

    def _enter(self) -> None:
        """Makes the device the calling thread's own."""
        if self._context is None:
            self._context = _check(self._api.cuDevicePrimaryCtxRetain(self._device), "be opened")
        _check(self._api.cuCtxSetCurrent(self._context), "be opened")
        if self._stream is None:
            flags = self._api.CUstream_flags.CU_STREAM_NON_BLOCKING
            self._stream = _check(self._api.cuStreamCreate(flags), "be opened")

    def free_memory(self) -> int:
        with self._lock:
            self._enter()
            error, free, _ = self._api.cuMemGetInfo()
            _check((error,), "tell its free memory")
            return int(free)

    def most_shared(self) -> int:
        return self._shared

    def load(self, head_dim: int) -> None:
        with self._lock:
            self._enter()
            if head_dim == self._head_dim:
                return
            self._head_dim = head_dim
            self._functions, self._modules = {}, {}
            self._module(kernels.LANGUAGE)

    def _module(self, program: str) -> Any:
        """A source's kernels, loaded when the first of them is needed."""
        if program not in self._modules:
            architecture = f"sm_{self.architecture[0]}{self.architecture[1]}"
            image = kernels.load(program, architecture, self._head_dim)
            self._modules[program] = _check(self._api.cuModuleLoadData(image), "load the kernels")
        return self._modules[program]

    def allocate(self, size: int) -> Address:
        with self._lock:
            self._enter()
            return int(_check(self._api.cuMemAlloc(size), "give memory"))

    def free(self, address: Address) -> None:
        with self._lock:
            self._enter()
            _check(self._api.cuMemFree(address), "take back memory")

    def upload(self, address: Address, data: Array) -> None:
        data = np.ascontiguousarray(data)
        if not data.nbytes:
            return
        with self._lock:
            self._enter()
            # From pageable memory: the driver has taken a copy when this returns.
            copied = self._api.cuMemcpyHtoDAsync(address, data.ctypes.data, data.nbytes, self._stream)
            _check(copied, "be sent data")

    def download(self, address: Address, data: Array) -> None:
        assert data.flags.c_contiguous
        with self._lock:
            self._enter()
            copied = self._api.cuMemcpyDtoHAsync(data.ctypes.data, address, data.nbytes, self._stream)
            _check(copied, "send data")
        self.wait()

    def wait(self) -> None:
        with self._lock:
            self._enter()
            stream = self._stream
        _check(self._api.cuStreamSynchronize(stream), "finish its work")

    def run(self, program: Program) -> None:
        with self._lock:
            self._enter()
            if len(program.launches) == 1:
                self._launch(program.launches[0])
                return
            if program.prepared is None:
                program.prepared = self._graph(program)
            _check(self._api.cuGraphLaunch(program.prepared, self._stream), "run the kernels")

    def forget(self, program: Program) -> None:
        with self._lock:
            if program.prepared is not None:
                self._enter()
                _check(self._api.cuGraphExecDestroy(program.prepared), "give back what was recorded")
                program.prepared = None

    @property
    def peak(self) -> float | None:
        each = OPERATIONS.get(self.architecture)
        return None if each is None else each * self.clock * self.multiprocessors

    def profile(self, program: Program) -> dict[str, float]:
        with self._lock:
            self._enter()
            api, marks = self._api, []
            for launch in (None, *program.launches):
                if launch is not None:
                    self._launch(launch)
                marks.append(_check(api.cuEventCreate(0), "measure"))
                _check(api.cuEventRecord(marks[-1], self._stream), "measure")
            self.wait()
            spent: dict[str, float] = {}
            for launch, begin, end in zip(program.launches, marks, marks[1:], strict=False):
                seconds = _check(api.cuEventElapsedTime(begin, end), "measure") / 1000
                spent[launch.stage] = spent.get(launch.stage, 0.0) + seconds
            for mark in marks:
                _check(api.cuEventDestroy(mark), "measure")
            return spent

    def _graph(self, program: Program) -> Any:
        """All launches as one, so that a step of small kernels does not wait for the host."""
        api = self._api
        mode = api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        for launch in program.launches:  # what loads a kernel is not allowed later
            self._function(launch)
        _check(api.cuStreamBeginCapture(self._stream, mode), "record the kernels")
        try:
            for launch in program.launches:
                self._launch(launch)
        except BaseException:
            api.cuStreamEndCapture(self._stream)  # which fails too
            raise
        graph = _check(api.cuStreamEndCapture(self._stream), "record the kernels")
        prepared = _check(api.cuGraphInstantiate(graph, 0), "record the kernels")
        _check(api.cuGraphDestroy(graph), "record the kernels")
        return prepared

    def _function(self, launch: Launch) -> Any:
        api = self._api
        if launch.kernel not in self._functions:
            module = self._module(kernels.program_of(launch.kernel))
            function = _check(api.cuModuleGetFunction(module, launch.kernel.encode()), "find a kernel")
            key = api.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            static = api.CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES
            used = _check(api.cuFuncGetAttribute(static, function), "describe a kernel")
            _check(api.cuFuncSetAttribute(function, key, self._shared - used), "give shared memory")
            self._functions[launch.kernel] = function
        return self._functions[launch.kernel]

    def _launch(self, launch: Launch) -> None:
        arguments = np.array([ctypes.addressof(one) for one in launch.arguments], np.uint64)
        launched = self._api.cuLaunchKernel(
            self._function(launch),
            *launch.grid,
            *(launch.threads, 1, 1),
            launch.shared,
            self._stream,
            arguments.ctypes.data,
            0,
        )
        _check(launched, f"run {launch.kernel}")
