"""Where bytes go. A file appears under its name whole or not at all; a pipe or a device is written to."""

import errno
import io
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nczip.cli.terminal import Console, shown

if TYPE_CHECKING:
    from typing_extensions import Buffer

_HOLE = 64 * 1024  # bytes: a run of zeros this long, at such a boundary, becomes a hole in the file
_ZEROS = bytes(_HOLE)

# Names of descriptors that are open already, which may happen to be regular files.
_DESCRIPTORS = ("/dev/fd", "/dev/stdout", "/dev/stderr", "/proc")


class SkipError(Exception):
    """This file is left alone, for the reason given; a warning, not an error."""


class Output(io.BufferedIOBase):
    """An open descriptor that takes every byte or raises an OSError that names the file."""

    _descriptor = -1

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__()
        self.name = name
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def write(self, data: "Buffer") -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                error.filename = self.name
                raise
        return size

    def commit(self) -> None:
        """To be called once, after the last write: only then is the output there to stay."""


class AtomicFile(Output):
    """A file written under a temporary name beside ``target``, and renamed when it is whole and on disk."""

    def __init__(self, target: Path, *, like: os.stat_result | None, replace: bool, sparse: bool) -> None:
        self._target = target
        self._temporary = target.parent / f".nczip-{os.urandom(6).hex()}.tmp"
        self._like = like
        self._replace = replace
        self._sparse = sparse
        # What is compressed from a private file is private from its first byte on; commit sets the mode.
        mode = 0o666 if like is None else 0o600
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            super().__init__(os.open(self._temporary, flags, mode), str(target))
        except OSError as error:
            error.filename = str(target)
            raise
        except BaseException:  # a signal after the file was made, and before close knows of it
            self._temporary.unlink(missing_ok=True)
            raise

    def write(self, data: "Buffer") -> int:
        if not self._sparse:
            return super().write(data)
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _HOLE):
            piece = bytes(view[start : start + _HOLE])
            if piece == _ZEROS:
                os.lseek(self._descriptor, _HOLE, os.SEEK_CUR)
            else:
                super().write(piece)
        return len(view)

    def commit(self) -> None:
        try:
            # A hole at the very end exists only once the length says so.
            os.ftruncate(self._descriptor, os.lseek(self._descriptor, 0, os.SEEK_CUR))
            if self._like is not None:
                _copy_metadata(self._like, self._descriptor)
            os.fsync(self._descriptor)
            self._publish()
        except OSError as error:
            error.filename, error.filename2 = self.name, None
            raise
        _sync_directory(self._target.parent)

    def close(self) -> None:
        if not self.closed and self._descriptor >= 0:
            self._temporary.unlink(missing_ok=True)
            os.close(self._descriptor)
        super().close()

    def _publish(self) -> None:
        if self._replace:
            self._temporary.replace(self._target)
            return
        # Somebody may have made the target since we looked: a link, unlike a rename, never replaces anything.
        try:
            self._target.hardlink_to(self._temporary)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if os.path.lexists(self._target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            self._temporary.rename(self._target)


def _copy_metadata(like: os.stat_result, descriptor: int) -> None:
    """Mode, times and, where the system lets us, the owner."""
    mode = stat.S_IMODE(like.st_mode) & 0o777
    if hasattr(os, "fchown"):
        with suppress(PermissionError):
            os.fchown(descriptor, like.st_uid, -1)
        try:
            os.fchown(descriptor, -1, like.st_gid)
        except PermissionError:
            # Another group than the input's must not see more than everybody may.
            mode &= 0o707 | (mode & 0o007) << 3
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, mode)
    if os.utime in os.supports_fd:
        os.utime(descriptor, ns=(like.st_atime_ns, like.st_mtime_ns))


def _sync_directory(directory: Path) -> None:
    """Makes a rename last through a power failure, on file systems that know how."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def standard_output() -> Output:
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    return Output(sys.stdout.fileno(), "(stdout)")


def open_output(
    target: Path, *, like: os.stat_result | None, force: bool, sparse: bool, console: Console
) -> Output:
    """Opens ``target``, asking before an existing file is overwritten unless ``force``.

    ``like`` is the input, whose mode and times the output takes. Raises SkipError where the person says no,
    and FileExistsError where nobody is there to ask.
    """
    try:
        existing = target.stat()
    except FileNotFoundError:
        existing = None
    if existing is not None:
        if stat.S_ISDIR(existing.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        # Nobody means to put a file in the place of a device, a pipe or a descriptor.
        if not stat.S_ISREG(existing.st_mode) or any(target.is_relative_to(name) for name in _DESCRIPTORS):
            return _Stream(target)
        if like is not None and os.path.samestat(existing, like):
            raise OSError(errno.EINVAL, "is the input too, and would be lost", str(target))
    exists = existing is not None or target.is_symlink()
    if exists and not force:
        if not console.asks:
            raise FileExistsError(errno.EEXIST, "exists already; -f overwrites it", str(target))
        if not console.ask(f"{shown(target)} exists; overwrite it?"):
            raise SkipError("not overwritten")
    return AtomicFile(target, like=like, replace=exists or force, sparse=sparse)


class _Stream(Output):
    """A pipe, a device or an open descriptor that was named as the output."""

    def __init__(self, target: Path) -> None:
        # At the end: behind `>> all.ncz -o /dev/stdout` stands a file with something in it.
        super().__init__(os.open(target, os.O_WRONLY | os.O_APPEND), str(target))

    def close(self) -> None:
        if not self.closed and self._descriptor >= 0:
            os.close(self._descriptor)
        super().close()
