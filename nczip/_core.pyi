"""The C++ core: the mixture's block encoder and decoder. Every call releases the GIL while it works."""

from types import ModuleType

from typing_extensions import Buffer

stages: ModuleType  # the core's stages one at a time, for the tests: bindings_stages.cpp

KNOWLEDGE_SIZE: int  # bytes of what every block starts from, in memory

def unfold_knowledge(knowledge: Buffer, folded: int) -> None:
    """Unfolds the file's content, the last ``folded`` bytes of ``knowledge``, to all KNOWLEDGE_SIZE of it.

    Raises ValueError if they don't fit.
    """

def isa() -> str:
    """The instruction set in use: the best that this CPU has and ``NCZIP_ISA`` allows."""

def mixture_config(level: int, memory_limit: int = 0) -> bytes:
    """The canonical predictor configuration of level 4, 5 or 6.

    ``memory_limit``: bytes that a block's tables may take, whatever its size; 0 for no limit.
    """

def mixture_memory(config: bytes, raw_size: int) -> int:
    """Bytes that coding a block of ``raw_size`` bytes takes beyond its input and output, either way."""

class MixtureEncoder:
    """Codes one block. Raises ValueError for a configuration that this version does not know."""

    def __init__(self, config: bytes, raw: Buffer, knowledge: Buffer) -> None: ...
    def advance(self, bytes: int) -> int:
        """Codes about ``bytes`` more (a long repeat in one step); returns the bytes of the block done."""
    @property
    def packed_size(self) -> int:
        """Bytes written so far."""
    def finish(self) -> bytes:
        """The packed block. Call once, after ``advance`` has reached the end."""
    def weights(self) -> bytes:
        """The mixer's weights now, as binary32: what knowledge is made from."""

class MixtureDecoder:
    """Decodes one block. Damaged packed bytes give wrong bytes, never a crash: check the content hash."""

    def __init__(self, config: bytes, raw_size: int, packed: Buffer, knowledge: Buffer) -> None: ...
    def decode(self, bytes: int) -> bytes:
        """The next bytes of the block, fewer than asked at its end."""
