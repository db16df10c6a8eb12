"""Jobs side by side, results in order, and a quick end when one fails or the user interrupts."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from nczip.blocks import Step

if TYPE_CHECKING:  # imported where threads are used: it takes a tenth of the time to start
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")
Progress = Callable[[int, int], None]  # (raw, packed) bytes done so far

POLL = 0.1  # seconds between two progress reports while waiting for a thread


class _CancelledError(Exception):
    """Ends a job whose result nobody wants any more."""


class _Job(Generic[T]):
    def __init__(self, work: Callable[[Step], T]) -> None:
        self.work = work
        self.raw = self.packed = 0
        self.cancelled = threading.Event()
        self.future: Future[T] | None = None

    def step(self, raw: int, packed: int) -> None:
        """What a job in a thread calls as it goes."""
        self.raw, self.packed = raw, packed
        if self.cancelled.is_set():
            raise _CancelledError

    def run(self) -> T:
        return self.work(self.step)


class OrderedPool(Generic[T]):
    """Runs at most ``threads`` jobs at a time. With one thread a job runs when its result is asked for.

    ``on_progress`` is called in the caller's thread only.
    """

    def __init__(self, threads: int, on_progress: Progress | None = None) -> None:
        self.threads = threads
        self._on_progress = on_progress
        self._jobs: deque[_Job[T]] = deque()
        self._executor: ThreadPoolExecutor | None = None
        self._raw = self._packed = 0

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def full(self) -> bool:
        """Whether a result must be taken before the next job is submitted."""
        return len(self._jobs) >= self.threads

    def submit(self, work: Callable[[Step], T]) -> None:
        """Adds a job; it is given the step function to call as it goes."""
        job = _Job(work)
        if self.threads > 1:
            if self._executor is None:
                from concurrent.futures import ThreadPoolExecutor

                self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix="nczip")
            job.future = self._executor.submit(job.run)
        self._jobs.append(job)

    def next(self) -> T:
        """The oldest job's result, or its exception, after which only cancel and close make sense."""
        job = self._jobs[0]
        result = self._here(job) if job.future is None else self._await(job.future)
        self._jobs.popleft()
        self._raw += job.raw
        self._packed += job.packed
        self._report()
        return result

    def cancel(self) -> None:
        """Drops all jobs; those that run stop at their next step."""
        for job in self._jobs:
            job.cancelled.set()
            if job.future is not None:
                job.future.cancel()
        self._jobs.clear()

    def close(self) -> None:
        """Drops all jobs and ends the threads."""
        self.cancel()
        if self._executor is not None:
            self._executor.shutdown(wait=True)
            self._executor = None

    def _here(self, job: _Job[T]) -> T:
        def step(raw: int, packed: int) -> None:
            job.raw, job.packed = raw, packed
            self._report()

        return job.work(step)

    def _await(self, future: Future[T]) -> T:
        from concurrent.futures import wait

        while not wait((future,), timeout=POLL).done:
            self._report()
        return future.result()

    def _report(self) -> None:
        if self._on_progress is not None:
            raw = self._raw + sum(job.raw for job in self._jobs)
            self._on_progress(raw, self._packed + sum(job.packed for job in self._jobs))
