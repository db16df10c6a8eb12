"""nczip: a lossless compressor for when size matters most.

compress, decompress     bytes to an archive and back
open                     a file that compresses or decompresses
Reader, Writer           the objects that ``open`` gives
Base, train              a file that both sides have, for ``base=``; one made of samples
inspect                  an archive's frames and blocks, without decoding
salvage                  what is still intact in a damaged archive
open_tensors             the tensors of a compressed model file, one at a time

Importing nczip imports nothing else; each name loads what it needs when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nczip.base import Base as Base
    from nczip.errors import CorruptError as CorruptError
    from nczip.errors import FormatError as FormatError
    from nczip.errors import MemoryLimitError as MemoryLimitError
    from nczip.errors import MissingBaseError as MissingBaseError
    from nczip.errors import MissingModelError as MissingModelError
    from nczip.errors import ModelFileError as ModelFileError
    from nczip.errors import NczipError as NczipError
    from nczip.errors import NewerVersionError as NewerVersionError
    from nczip.errors import TruncatedError as TruncatedError
    from nczip.inspection import ArchiveInfo as ArchiveInfo
    from nczip.inspection import BlockInfo as BlockInfo
    from nczip.inspection import FrameInfo as FrameInfo
    from nczip.inspection import inspect as inspect
    from nczip.reader import Reader as Reader
    from nczip.salvaging import LostRange as LostRange
    from nczip.salvaging import salvage as salvage
    from nczip.stream import compress as compress
    from nczip.stream import decompress as decompress
    from nczip.stream import open as open
    from nczip.tensor_access import Tensors as Tensors
    from nczip.tensor_access import open_tensors as open_tensors
    from nczip.training import train as train
    from nczip.writer import Writer as Writer

    __version__: str

_HOMES = {
    "base": ("Base",),
    "errors": (
        "CorruptError",
        "FormatError",
        "MemoryLimitError",
        "MissingBaseError",
        "MissingModelError",
        "ModelFileError",
        "NczipError",
        "NewerVersionError",
        "TruncatedError",
    ),
    "inspection": ("ArchiveInfo", "BlockInfo", "FrameInfo", "inspect"),
    "reader": ("Reader",),
    "salvaging": ("LostRange", "salvage"),
    "stream": ("compress", "decompress", "open"),
    "tensor_access": ("Tensors", "open_tensors"),
    "training": ("train",),
    "writer": ("Writer",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ArchiveInfo",
    "Base",
    "BlockInfo",
    "CorruptError",
    "FormatError",
    "FrameInfo",
    "LostRange",
    "MemoryLimitError",
    "MissingBaseError",
    "MissingModelError",
    "ModelFileError",
    "NczipError",
    "NewerVersionError",
    "Reader",
    "Tensors",
    "TruncatedError",
    "Writer",
    "__version__",
    "compress",
    "decompress",
    "inspect",
    "open",
    "open_tensors",
    "salvage",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(importlib.import_module(f"nczip.{_HOME_OF[name]}"), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("nczip")
    raise AttributeError(f"module 'nczip' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_HOME_OF, "__version__"]
