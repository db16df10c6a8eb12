"""What can be wrong with an archive or a model. A message is one sentence to print after the file's name."""

from collections.abc import Sequence


class NczipError(Exception):
    """The base of every error that nczip raises about an archive or a model."""

    exit_status = 1


class FormatError(NczipError):
    """The bytes are not an nczip archive."""


class CorruptError(NczipError):
    """The archive is damaged: a checksum, a size or a structure is wrong."""


class TruncatedError(CorruptError):
    """The archive ends before it should."""


class NewerVersionError(NczipError):
    """The archive is whole, as far as its checksums tell, but needs a newer nczip.

    For a mixture also an older one, as long as nothing is released.
    """

    UNKNOWN_MIXTURE = "made by a mixture version that this nczip does not know"


class MemoryLimitError(NczipError):
    """Coding or decoding would take more memory than the limit; ``need`` and ``limit`` are bytes."""

    def __init__(self, what: str, need: int, limit: int) -> None:
        super().__init__(f"{what} needs {_mib(need)} of memory, more than the limit of {_mib(limit)}")
        self.need = need
        self.limit = limit


class ModelFileError(NczipError):
    """A model, or a file to make one from, is damaged, or of a kind that nczip does not take."""


class DeviceError(NczipError):
    """A device cannot do it: there is none, it is too old, or it failed."""


class MissingModelError(NczipError):
    """No such model is on this machine."""

    exit_status = 3


class MissingBaseError(NczipError):
    """The base that the archive was made with was not given; ``name`` is what the archive calls it."""

    exit_status = 3

    def __init__(self, name: bytes, others: Sequence[bytes] = ()) -> None:
        given = f", not {' or '.join(other.hex() for other in others)}" if others else ""
        super().__init__(f"needs the base whose SHA-256 begins with {name.hex()}{given}; give it with --base")
        self.name = name


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
