"""The C++ core: block encoders and decoders. Every call releases the GIL while it works."""

from types import ModuleType
from typing import Any

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

def primed_room(config: bytes, base_size: int, raw_size: int) -> int:
    """The bytes that tables are made for where a block follows a base of ``base_size`` bytes: 2^n."""

def index_memory(base_size: int) -> int:
    """Bytes that a PrimedMixture takes to find strings of its base, beside its tables."""

class PrimedMixture:
    """A mixture that reads a base, for blocks to begin with copies of it.

    ``room``: as ``primed_room`` gives it. Raises ValueError for a configuration that this version does not
    know, a base of more than 2^28 bytes, and a room that no block needs. ``read``, for tests: how many bytes
    at the end of the base are read, instead of what the level says.
    """

    def __init__(
        self, config: bytes, base: Buffer, room: int, knowledge: Buffer, read: int | None = None
    ) -> None: ...
    def advance(self, bytes: int) -> bool:
        """Reads about ``bytes`` more, or prepares 64 times as many to be read; whether that was the last."""

class MixtureEncoder:
    """Codes one block. Raises ValueError for a configuration that this version does not know.

    ``primed``: with the same configuration, room for this block, and its base read.
    """

    def __init__(
        self, config: bytes, raw: Buffer, knowledge: Buffer, primed: PrimedMixture | None = None
    ) -> None: ...
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

    def __init__(
        self,
        config: bytes,
        raw_size: int,
        packed: Buffer,
        knowledge: Buffer,
        primed: PrimedMixture | None = None,
    ) -> None: ...
    def decode(self, bytes: int) -> bytes:
        """The next bytes of the block, fewer than asked at its end."""

PLANES_STEP: int  # bytes of room that unpacking a chunk needs at most
PLANES_MEMORY: int  # bytes that a block of method 4 takes at most beside its content, either way

class PlanesEncoder:
    """Packs a block by method 4: elements of ``kind`` (formats/planes.md), the first at byte ``lead``.

    Raises ValueError for a kind or phase that does not exist.
    """

    def __init__(self, raw: Buffer, kind: int, lead: int) -> None: ...
    def advance(self, bytes: int) -> int:
        """Packs about ``bytes`` more, whole chunks; returns the bytes of the block done."""
    @property
    def packed_size(self) -> int:
        """Bytes written so far; they may be some more than the block has."""
    def finish(self) -> bytes:
        """The packed block. Call once, after ``advance`` has reached the end."""

class PlanesDecoder:
    """Unpacks a block of method 4. Raises ValueError, here or later, where the packed bytes do not fit it."""

    def __init__(self, packed: Buffer, raw_size: int) -> None: ...
    def advance(self, raw: Buffer, bytes: int) -> int:
        """Unpacks about ``bytes`` more to their place in ``raw``, where the block begins.

        Stops where ``raw`` has neither PLANES_STEP bytes left nor the whole block. Returns the bytes of the
        block done.
        """

class Content:
    """Bytes to write into, through the buffer protocol or ``put``, until ``finish``: all of them.

    Takes memory only where it is written. Raises MemoryError for a size that cannot be.
    """

    def __init__(self, size: int) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def put(self, offset: int, part: Buffer) -> None:
        """Copies some bytes to their place; costs nothing if they were written there."""
    def finish(self) -> bytes:
        """All of them. Nothing may be written from then on."""

class Gathered:
    """What a Writer writes to, to have as bytes; ``expected`` is about how many there will be."""

    def __init__(self, expected: int) -> None: ...
    def write(self, part: Buffer, /) -> int: ...
    def flush(self) -> None: ...
    def finish(self) -> bytes: ...

def crc32(data: Buffer, start: int = 0) -> int:
    """CRC-32 as zlib.crc32 computes it, ``start`` that of the bytes before."""

def planes_survey(raw: Buffer) -> tuple[int, int, float, float, bool]:
    """The kind of numbers whose planes cost least, judged by samples of a block, and where the first begins.

    Then the bits that a byte takes so, and the share of places, chosen by content, that repeat earlier bytes.
    Last, whether the highest bytes of numbers beside each other are alike.
    """

def planes_samples(raw: Buffer) -> bytes:
    """The samples that the survey looks at, one after the other."""

def planes_highest(raw: Buffer, kind: int, lead: int) -> list[int]:
    """How often each of 256 values occurs in the samples' plane of highest bytes."""

def unwrap_lines(text: Buffer) -> tuple[bytes, bytes, int, int]:
    """Text with spaces for its single line ends, packed decisions which gaps these are, and how many.

    Then the bytes that the decisions would take if the letters before a gap told them.
    """

def wrap_lines(text: Buffer, decisions: Buffer) -> bytes:
    """The text again. Raises ValueError where the decisions end early or do not fit it."""

def language_config(level: int, table_bits: int, window_bits: int) -> bytes:
    """The coder's configuration of level 7, 8 or 9.

    ``table_bits``: the log2 of the bytes of the mixture's largest table, 16 to 31. ``window_bits``: the log2
    of the tokens that the model looks back on, 6 to 12. Raises ValueError for others.
    """

def language_memory(model: LanguageModel, config: bytes, raw_size: int, together: int) -> int:
    """Bytes for ``together`` blocks of ``raw_size`` bytes side by side, beyond the model.

    An encoder takes no more than a decoder of one block. Raises ValueError for a configuration that this
    version does not know.
    """

def spelling_memory(raw_size: int, table_bits: int) -> int:
    """Bytes for the mixture of a block at level 8, beside its content.

    Raises ValueError for sizes that cannot be.
    """

def logits(model: LanguageModel, window: int, tokens: Buffer, together: int = 64) -> bytes:
    """Logits in bits, binary32 [tokens, vocabulary], of what follows each of ``tokens`` (uint32).

    A token equal to the size of the vocabulary is the mark that blocks begin with. ``window`` is a multiple
    of 16.
    """

def pack_intervals(intervals: Buffer) -> bytes:
    """What codes ``intervals`` (uint32 [n, 2]: left end and width in units of 2^-24) one after the other.

    Raises ValueError for one that does not lie in [0, 2^24).
    """

class LanguageModel:
    """The arrays of a model file (formats/ncm.md), kept alive and put together.

    Raises ValueError for shapes that this version cannot run.
    """

    def __init__(
        self, architecture: dict[str, Any], attention: list[dict[str, int]], tensors: dict[str, Any]
    ) -> None: ...

class LanguageEncoder:
    """Codes one block, whose ``tokens`` (uint32) spell ``raw``. Raises ValueError if they do not."""

    def __init__(
        self, model: LanguageModel, config: bytes, raw: Buffer, tokens: Buffer, knowledge: Buffer
    ) -> None: ...
    def advance(self, bytes: int) -> int:
        """Codes about ``bytes`` more; returns the bytes of the block done."""
    @property
    def packed_size(self) -> int:
        """Bytes written so far."""
    def finish(self) -> bytes:
        """The packed block. Call once, after ``advance`` has reached the end."""

class LanguageDecoder:
    """Decodes blocks side by side. Damaged packed bytes give wrong bytes, never a crash: check the hash."""

    def __init__(
        self,
        model: LanguageModel,
        config: bytes,
        raw_sizes: list[int],
        packed: list[bytes],
        knowledge: Buffer,
    ) -> None: ...
    def step(self, passes: int = 1) -> bool:
        """Some passes of the model over all blocks; whether they are all done."""
    @property
    def position(self) -> int:
        """Bytes decoded, of all blocks together."""
    @property
    def passes(self) -> int:
        """Passes of the model so far."""
    def content(self, block: int) -> bytes:
        """A block that is done. Raises ValueError if its last token went past its end."""

class DeflateAnalyser:
    """Finds deflate streams in ``content``, one after the other, and makes one recipe of them all."""

    def __init__(self, content: Buffer) -> None: ...
    def find(self, offset: int, end: int, most: int, window_bits: int) -> bool:
        """Whether a stream that is worth it begins at an offset.

        It ends before ``end``; what it inflates to is cut after ``most`` bytes. ``window_bits``: 8 to 15, the
        log2 of the window that a header claims. Raises ValueError for others.
        """
    def advance(self) -> bool:
        """Goes on with the stream that was found; True at its end."""
    def stream(self) -> tuple[int, bytes] | None:
        """Of the last stream: its bytes, all or as far as it could be taken, and what these inflate to.

        None if its recipe was not worth it; it then is no part of what ``finish`` gives.
        """
    def finish(self) -> bytes:
        """The recipe. Call once."""

class DeflateRebuilder:
    """Makes deflate streams again, in their order, from a recipe and what they inflated to."""

    def __init__(self, recipe: Buffer) -> None: ...
    def begin(self, inflated: Buffer, most: int) -> None:
        """The next stream; it may have ``most`` bytes."""
    def advance(self) -> bytes | None:
        """Goes on; the stream when it is whole. Raises ValueError if the recipe is damaged."""

class TensorEncoder:
    """Codes one block of numbers by method 5: ``kind`` as formats/tensor.md numbers them, ``phase`` bytes
    before the first unit, ``row`` elements or 0. ``reference`` is as many units that this block's
    are coded by. Raises ValueError for one of these that does not exist or does not fit.
    """

    def __init__(
        self, raw: Buffer, kind: int, phase: int, row: int, reference: Buffer | None = None
    ) -> None: ...
    def advance(self, bytes: int) -> int:
        """Codes ``bytes`` more, to the end of a unit; returns the bytes of the block done."""
    @property
    def packed_size(self) -> int:
        """Bytes written so far."""
    def finish(self) -> bytes:
        """The packed block. Call once, after ``advance`` has reached the end."""

class TensorDecoder:
    """Decodes one block of method 5, with its encoder's reference. Raises ValueError for what none wrote."""

    def __init__(self, packed: Buffer, raw_size: int, reference: Buffer | None = None) -> None: ...
    def decode(self, bytes: int) -> bytes:
        """The next ``bytes``, to the end of a unit. Raises ValueError when the packed bytes have ended."""

def tensor_quants(raw: Buffer) -> tuple[int, int]:
    """Which of GGUF's quantised blocks a block consists of, and its phase, by a sample; kind -1 if none."""

def tensor_row(raw: Buffer, kind: int, phase: int) -> int:
    """How many elements make a row, by how sizes agree from row to row; 0 if nothing shows."""

def tensor_memory(raw_size: int) -> int:
    """Bytes that coding a block of ``raw_size`` bytes takes beyond content and packed bytes, either way."""
