"""Blocks through a language model: bytes to tokens to packed bytes, and several blocks back side by side.

The model file decides what its name in an archive means, so it is found by its hash and checked against it.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nczip import device, knowledge
from nczip.container import Method
from nczip.device import CPU, Choice
from nczip.errors import CorruptError, NewerVersionError
from nczip.sampling import samples

if TYPE_CHECKING:
    from nczip import _core
    from nczip.blocks import Step
    from nczip.models.ncm import Entries, Model

CONFIG = 4  # bytes of the coder's configuration; those of the model's name follow
MODEL_ID = 8
WINDOW_BITS = {7: 11, 8: 11, 9: 13}  # log2 of the tokens that the model looks back on
TABLE_BITS = {7: 16, 8: 21, 9: 26}  # log2 of the bytes of the mixture's largest table
MIN_WINDOW_BITS = 8  # a memory limit makes them no smaller
MIN_TABLE_BITS = 16
ENCODE_STEP = 1 << 10  # raw bytes: about a second at the slowest
DECODE_STEP = 16  # passes of the model
SAMPLES = 3
SAMPLE_SIZE = 8 << 10
TEXT = 2.0  # bytes a token, of samples: from here on the model is worth its time
NO_TEXT = 1.25  # up to here it is not; between the two it is tried
TRIAL = 16 << 10  # bytes of a longer block that it is tried on
WORTH = 0.98  # packed by the model / without, of a trial, below which the whole block is worth its time

_loading = threading.Lock()
_elsewhere: dict[bytes, Path] = {}  # models that were asked for by their path


@dataclass(frozen=True)
class Loaded:
    """A model file, and what the core made of it."""

    model: Model
    core: _core.LanguageModel


def make_method(
    level: int, id_: bytes, *, table_bits: int | None = None, window_bits: int | None = None
) -> Method:
    """The method of a language level with a model: ``id_`` is the first 8 bytes of its SHA-256."""
    from nczip import _core
    from nczip.container import LANGUAGE

    config = _core.language_config(level, table_bits or TABLE_BITS[level], window_bits or WINDOW_BITS[level])
    return Method(LANGUAGE, config + id_)


def smaller(method: Method) -> Iterator[Method]:
    """The method, then others that take less and less memory: smaller tables, and then a shorter window."""
    _, level, table_bits, window_bits = method.config[:CONFIG]
    sizes = [(bits, window_bits) for bits in range(table_bits, MIN_TABLE_BITS - 1, -1)]
    sizes += [(sizes[-1][0], bits) for bits in range(window_bits - 1, MIN_WINDOW_BITS - 1, -1)]
    for tables, window in sizes:
        yield make_method(level, model_id(method), table_bits=tables, window_bits=window)


def find(model: str | None) -> bytes:
    """The name in archives of a model that is asked for by name, hash or path; None is the default one.

    Raises MissingModelError, ModelFileError.
    """
    from nczip.models import store
    from nczip.models.ncm import Model

    path = store.find(model)
    named = store.id_of(path)
    if named is None:
        named = Model.open(path, verify=False).id
        _elsewhere[named] = path
    return named


def model_id(method: Method) -> bytes:
    """What the method's model is called. Raises NewerVersionError for a configuration of another length."""
    if len(method.config) != CONFIG + MODEL_ID:
        raise NewerVersionError(NewerVersionError.UNKNOWN_MIXTURE)
    return method.config[CONFIG:]


def level(method: Method) -> int:
    """The level, 7 to 9, of a method. Raises NewerVersionError for a configuration that is not known."""
    from nczip import _core

    model_id(method)
    found = method.config[1]
    with contextlib.suppress(ValueError):
        if _core.language_config(found, *method.config[2:CONFIG]) == method.config[:CONFIG]:
            return found
    raise NewerVersionError(NewerVersionError.UNKNOWN_MIXTURE)


def load(method: Method) -> Loaded:
    """The method's model, read and checked once a process.

    Raises NewerVersionError, MissingModelError, ModelFileError.
    """
    level(method)  # what is not known needs no model to be said
    with _loading:
        return _load(model_id(method))


@functools.lru_cache(maxsize=2)
def _load(id_: bytes) -> Loaded:
    from nczip import _core
    from nczip.errors import ModelFileError
    from nczip.models import store
    from nczip.models.ncm import Model

    path = _elsewhere.get(id_) or store.by_id(id_)
    model = Model.open(path)
    if model.id != id_:
        raise ModelFileError(f"{path}: is not the model {id_.hex()}")
    header = model.header
    try:
        core = _core.LanguageModel(header["architecture"], header["attention"], dict(model.tensors))
    except ValueError as error:
        raise ModelFileError(f"{path}: {error}") from None
    return Loaded(model, core)


def memory(method: Method, raw_size: int, together: int = 1) -> int:
    """Bytes for blocks in flight, beyond the model. Raises as ``load`` does."""
    from nczip import _core

    return _core.language_memory(load(method).core, method.config[:CONFIG], raw_size, together)


def bytes_a_token(method: Method, raw: memoryview) -> float:
    """How long tokens are, in samples of a block: a cheap measure of what a language model makes of it."""
    model = load(method).model
    pieces = samples(raw, SAMPLES, SAMPLE_SIZE)
    return sum(map(len, pieces)) / sum(len(model.encode(piece)) for piece in pieces)


def pack(
    method: Method, raw: memoryview, step: Step, most: int | None = None, on: Choice = CPU
) -> bytes | None:
    """The packed bytes of a block; None as soon as they are more than ``most``, by default what it has."""
    from nczip import _core

    most = len(raw) if most is None else most
    step(0, 0)  # before the model is loaded and the tokenizer has passed, which takes long for a large block
    loaded = load(method)
    tokens = loaded.model.encode(bytes(raw), lambda: step(0, 0))
    if device.serves(method, on.name):
        packed = _pack_on_device(method, len(raw), tokens, step, on)
        if packed is not None:
            step(len(raw), len(packed))
            return packed if len(packed) <= most else None
    coder = _core.LanguageEncoder(loaded.core, method.config[:CONFIG], raw, tokens.data, knowledge.load())
    done = 0
    while done < len(raw):
        done = coder.advance(ENCODE_STEP)
        if coder.packed_size > most:
            return None
        step(done, coder.packed_size)
    return coder.finish()


def _pack_on_device(method: Method, size: int, tokens: Entries, step: Step, on: Choice) -> bytes | None:
    """The packed bytes as a device gives them; None where it does not, or where they were wrong."""

    def wait() -> None:
        step(0, 0)

    with on.waiting():
        try:
            server = device.serving(method, size)
            packed = server.pack(tokens, wait)
            if not on.verify or server.check(tokens, packed, size, wait):
                return packed
            device.warn("a block that the GPU packed was not decoded to what it was made of")
        except device.DeviceError as error:
            device.warn(error)
    return None


def unpack(
    method: Method, blocks: Sequence[tuple[int, bytes]], step: Step, on: Choice = CPU
) -> list[bytes | CorruptError]:
    """The contents of blocks, given as raw size and packed bytes, decoded side by side.

    A damaged block gives other bytes, or CorruptError in its place. Raises as ``load`` does, and
    NewerVersionError.
    """
    from nczip.levels import MOST_TOGETHER

    load(method)
    found: list[bytes | CorruptError | None] = [None] * len(blocks)
    if blocks and device.serves(method, on.name):
        with on.waiting():
            found = _unpack_on_device(method, blocks, step)
    left = [number for number, content in enumerate(found) if content is None]
    together = (
        len(blocks) if on.name == "cpu" else MOST_TOGETHER
    )  # what a device gives back fits side by side
    for first in range(0, len(left), max(1, together)):
        some = left[first : first + together]
        contents = _unpack_on_cpu(method, [blocks[number] for number in some], step)
        for number, content in zip(some, contents, strict=True):
            found[number] = content
    return [content for content in found if content is not None]


def _unpack_on_device(
    method: Method, blocks: Sequence[tuple[int, bytes]], step: Step
) -> list[bytes | CorruptError | None]:
    """Contents as a device gives them; None where it does not."""

    def wait(done: int) -> None:
        step(sum(size for size, _ in blocks[:done]), sum(len(packed) for _, packed in blocks[:done]))

    try:
        return device.serving(method, max(size for size, _ in blocks)).unpack(blocks, wait)
    except device.DeviceError as error:
        device.warn(error)
        return [None] * len(blocks)


def _unpack_on_cpu(
    method: Method, blocks: Sequence[tuple[int, bytes]], step: Step
) -> list[bytes | CorruptError]:
    from nczip import _core

    loaded = load(method)
    decoder = _core.LanguageDecoder(
        loaded.core,
        method.config[:CONFIG],
        [raw_size for raw_size, _ in blocks],
        [packed for _, packed in blocks],
        knowledge.load(),
    )
    raw_size = sum(size for size, _ in blocks)
    packed_size = sum(len(packed) for _, packed in blocks)
    while not decoder.step(DECODE_STEP):
        step(decoder.position, packed_size * decoder.position // max(1, raw_size))
    step(raw_size, packed_size)
    results: list[bytes | CorruptError] = []
    for number in range(len(blocks)):
        try:
            results.append(decoder.content(number))
        except ValueError as error:
            results.append(CorruptError(str(error)))
    return results
