"""Model files (formats/ncm.md): opened, checked, mapped into memory; bytes to entries and back.

Nothing in a file is executed. All of its claims are held against its size before they are believed.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import mmap
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import accumulate, pairwise
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, get_type_hints

import numpy as np
import numpy.typing as npt

from nczip.errors import ModelFileError
from nczip.models import layout, tokenizers_json
from nczip.models.source import Architecture, Attention
from nczip.models.vocabulary import NO_ID

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Entries = npt.NDArray[np.uint32]
_T = TypeVar("_T")

_DTYPES = {"u8": "u1", "u32": "<u4", "f32": "<f4"}
_LONGEST_HEADER = 1 << 20
_PIECE = (
    1 << 16
)  # characters that the tokenizer gets at a time: what it makes of them takes many times their size
_DECODED = 1 << 16  # entries that become bytes at a time
_NOT_TEXT = re.compile("[\udc80-\udcff]")
_NAMED_BY_HASH = re.compile(r"-([0-9a-f]{16})\.ncm")


class Model:
    """A model file.

    ``tensors`` are read-only views of the file by name, in the types and shapes of formats/ncm.md. The
    object and its views keep the file open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            if file.seek(0, 2) < layout.PREFIX:
                raise ModelFileError("is not a model file")
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.size = len(self._data)
        self.header = _header(self._data)
        self._begin = layout.PREFIX + int.from_bytes(self._data[12:16], "little")
        with _reading_header():
            self.name: str = _of(str, self.header["name"])
            self.license: str = _of(str, self.header["license"])
            self.source: dict[str, str] = {
                kind: _of(str, self.header["source"][kind]) for kind in ("kind", "sha256")
            }
            self.architecture = _architecture(self.header)
            vocabulary = self.header["vocabulary"]
            self.vocabulary_size: int = _of(int, vocabulary["size"])
            bos = vocabulary["bos"]
            self.bos: int | None = None if bos is None else _of(int, bos)
            self.tied: bool = _of(bool, vocabulary["tied"])
            claimed = [
                layout.Spec(
                    _of(str, one["name"]),
                    _of(str, one["dtype"]),
                    tuple(map(_side, one["shape"])),
                )
                for one in self.header["tensors"]
            ]
            offsets = [_of(int, one["offset"]) for one in self.header["tensors"]]
        if self.bos not in (None, self.vocabulary_size) or not 256 <= self.vocabulary_size < NO_ID:
            raise ModelFileError("has a vocabulary that does not hold together")
        self.tensors: Mapping[str, npt.NDArray[Any]] = dict(self._views(claimed, offsets))
        self._check_vocabulary()

    @classmethod
    def open(cls, path: Path | str, *, verify: bool = True) -> Self:
        """The model in a file. ``verify`` reads all of it: its hash and the range of its numbers.

        Raises ModelFileError, which names the file, and OSError.
        """
        path = Path(path)
        try:
            model = cls(path)
            if verify:
                model.verify()
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from error
        return model

    @cached_property
    def sha256(self) -> bytes:
        """The SHA-256 of the whole file, 32 bytes; computed when it is first asked for."""
        return hashlib.sha256(self._data).digest()

    @property
    def id(self) -> bytes:
        """What archives call this model: the first 8 bytes of its hash."""
        return self.sha256[:8]

    def verify(self) -> None:
        """Raises ModelFileError for a file that is not what its name promises, or has impossible numbers."""
        promised = _NAMED_BY_HASH.search(self.path.name)
        if promised is not None and promised[1] != self.id.hex():
            raise ModelFileError(f"is damaged: its SHA-256 begins with {self.id.hex()}")
        for name, values in self.tensors.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ModelFileError(f"has numbers in {name} that are not finite")
            if name.endswith(".scale") and values.min() < 0:
                raise ModelFileError(f"has numbers in {name} that cannot be")
            if values.ndim > 1 and values.min() == 0:
                raise ModelFileError(f"has weights in {name} outside of -127 to 127")

    def encode(self, data: bytes, on_piece: Callable[[], object] = lambda: None) -> Entries:
        """Entries, uint32 [n], whose strings one after the other are ``data``, whatever that is.

        Text goes through the tokenizer. What does not come back from it exactly, and what is not UTF-8, is
        spelled in single bytes. ``on_piece`` is called as it goes on, and may raise to stop it.
        """
        pieces = [np.empty(0, np.uint32)]
        for text in _texts(data):
            on_piece()
            pieces.append(self._encode_text(text))
        return np.concatenate(pieces)

    def decode(self, entries: npt.NDArray[np.integer[Any]]) -> bytes:
        """The strings of ``entries``, one after the other. Raises ValueError if there is no such entry."""
        if len(entries) and not 0 <= int(entries.min()) <= int(entries.max()) < self.vocabulary_size:
            raise ValueError(f"an entry is outside of the vocabulary of {self.vocabulary_size:,}")
        begin, strings = self.tensors["vocabulary.begin"], self.tensors["vocabulary.bytes"]
        parts = []
        for at in range(0, len(entries), _DECODED):
            some = entries[at : at + _DECODED]
            lengths = begin[some + 1].astype(np.int64) - begin[some]
            ends = np.cumsum(lengths)
            shift = begin[some].astype(np.int64) - (ends - lengths)
            parts.append(strings[np.arange(ends[-1]) + np.repeat(shift, lengths)].tobytes())
        return b"".join(parts)

    def _encode_text(self, text: str) -> Entries:
        """The entries of some text, in which surrogates stand for bytes that are not text."""
        packed = text.encode("utf-8", "surrogateescape")
        encoding = self._tokenizer_says(_NOT_TEXT.sub("\ufffd", text))
        tokens = self._entries_of(np.array(encoding.ids, np.int64))
        if (tokens != NO_ID).all() and self.decode(tokens) == packed:
            return tokens
        # Tokens say which characters they stand for. Those that share characters are right or wrong as one.
        at = [0, *accumulate(len(char.encode("utf-8", "surrogateescape")) for char in text)]
        strings, spelling, candidates = self._strings, self._entry_of_byte.tolist(), tokens.tolist()
        entries: list[int] = []
        done = 0
        for first, last, begin, end in _runs(encoding.offsets):
            entries += (spelling[byte] for byte in packed[done : at[begin]])
            run, wanted = candidates[first:last], packed[at[begin] : at[end]]
            right = NO_ID not in run and b"".join(strings[token] for token in run) == wanted
            entries += run if right else (spelling[byte] for byte in wanted)
            done = at[end]
        entries += (spelling[byte] for byte in packed[done:])
        return np.array(entries, np.uint32)

    def _tokenizer_says(self, text: str) -> Any:
        tokenizer = self._tokenizer
        try:
            return tokenizer.encode(text, add_special_tokens=False)
        except BaseException as error:
            self._refuse_tokenizer(error)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        try:
            packed = self.tensors["tokenizer"].tobytes()
            tokenizers_json.check(packed)
            return Tokenizer.from_str(packed.decode())
        except BaseException as error:
            self._refuse_tokenizer(error)

    def _refuse_tokenizer(self, error: BaseException) -> NoReturn:
        # What the library was not ready for comes out of it as a "panic", which is no Exception.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise ModelFileError(
                f"{self.path}: has a tokenizer that does not work: {_line(error)}"
            ) from error
        raise error

    def _entries_of(self, ids: npt.NDArray[np.int64]) -> Entries:
        """The entry of each token id, NO_ID where there is none."""
        known = self._entry_of_id
        return np.where(ids < len(known), known[np.minimum(ids, len(known) - 1)], np.uint32(NO_ID))

    @cached_property
    def _entry_of_id(self) -> Entries:
        ids = self.tensors["vocabulary.ids"]
        there = np.flatnonzero(ids != NO_ID)
        entries = np.full(int(ids[there].max(initial=0)) + 1, NO_ID, np.uint32)
        entries[ids[there]] = there
        return entries

    @cached_property
    def _strings(self) -> list[bytes]:
        joined = self.tensors["vocabulary.bytes"].tobytes()
        return [joined[begin:end] for begin, end in pairwise(self.tensors["vocabulary.begin"].tolist())]

    @cached_property
    def _entry_of_byte(self) -> Entries:
        """The entry of each single byte: the first of all that begin with it."""
        first = self.tensors["vocabulary.bytes"][self.tensors["vocabulary.begin"][:-1]]
        return np.searchsorted(first, np.arange(256)).astype(np.uint32)

    def _views(
        self, claimed: list[layout.Spec], offsets: list[int]
    ) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """The tensors, which have to be the ones of the architecture, one right after the other."""
        lengths = {spec.name: prod(spec.shape) for spec in claimed}
        due = layout.tensors(
            self.architecture,
            entries=self.vocabulary_size,
            entry_bytes=lengths.get("vocabulary.bytes", 0),
            tokenizer_bytes=lengths.get("tokenizer", 0),
            tied=self.tied,
        )
        end = 0
        found = iter(zip(claimed, offsets, strict=True))
        for spec in due:
            one, offset = next(found, (None, 0))
            if one != spec:
                raise ModelFileError(f"lacks {spec.name} where it should be, or has it in another shape")
            if offset != end:
                raise ModelFileError(f"has {spec.name} at {offset:,}, which should be at {end:,}")
            end = offset + layout.aligned(spec.size)
            if self._begin + end > self.size:
                raise ModelFileError(f"is cut short: {spec.name} ends beyond its {self.size:,} bytes")
            dtype = np.dtype(_DTYPES[spec.dtype])
            values = np.frombuffer(self._data, dtype, spec.size // dtype.itemsize, self._begin + offset)
            yield spec.name, values.reshape(spec.shape)
        if next(found, None) is not None:
            raise ModelFileError("has more tensors than its architecture")
        if self._begin + end != self.size:
            raise ModelFileError(f"has {self.size - self._begin - end:,} bytes more than its tensors take")

    def _check_vocabulary(self) -> None:
        """What the coder relies on: every byte can be spelled, and entries are in order of their bytes."""
        begin, joined = self.tensors["vocabulary.begin"], self.tensors["vocabulary.bytes"]
        if begin[0] != 0 or begin[-1] != len(joined) or not (begin[1:] > begin[:-1]).all():
            raise ModelFileError("has a vocabulary that does not hold together")
        strings = self._strings
        if any(left >= right for left, right in pairwise(strings)):
            raise ModelFileError("has a vocabulary that is not in order")
        if sum(len(string) == 1 for string in strings) != 256:
            raise ModelFileError("has a vocabulary that cannot spell every byte")
        ids = self.tensors["vocabulary.ids"]
        there = ids[ids != NO_ID]
        if len(np.unique(there)) != len(there) or int(there.max(initial=0)) >= 1 << 28:
            raise ModelFileError("has a vocabulary with impossible token ids")


def _header(data: mmap.mmap) -> dict[str, Any]:
    if data[: len(layout.MAGIC)] != layout.MAGIC:
        raise ModelFileError("is not a model file")
    version, length = struct.unpack("<II", data[len(layout.MAGIC) : layout.PREFIX])
    if version > layout.VERSION:
        raise ModelFileError(f"is of version {version}, newer than this nczip")
    if version < layout.VERSION:
        raise ModelFileError(f"is of the unknown version {version}")
    end = layout.PREFIX + length
    if end > len(data):
        raise ModelFileError(f"is cut short: it ends at {len(data):,} bytes, in its header")
    if end % layout.ALIGNMENT or length > _LONGEST_HEADER:
        raise ModelFileError(f"has a header of the impossible length {length:,}")
    try:
        header = json.loads(data[layout.PREFIX : end].decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ModelFileError("has a header that is not JSON") from error
    if not isinstance(header, dict):
        raise ModelFileError("has a header that is no object")
    if header.get("arithmetic") != layout.ARITHMETIC:
        raise ModelFileError("is made for an arithmetic that this nczip does not know")
    return header


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


@contextmanager
def _reading_header() -> Iterator[None]:
    """Whatever is missing or of the wrong type in a header is one error."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ModelFileError(f"has a header that lacks something, or has it wrong: {_line(error)}") from error


def _architecture(header: dict[str, Any]) -> Architecture:
    numbers = _of(dict, header["architecture"])
    kinds = {
        name: type_ for name, type_ in get_type_hints(Architecture).items() if type_ in (int, float, str)
    }
    return Architecture(
        **{name: _of(kind, numbers[name]) for name, kind in kinds.items()},
        attention=tuple(
            Attention(_of(int, kind["window"]), _of(int, kind["rope"])) for kind in header["attention"]
        ),
        layer_kinds=tuple(_of(int, kind) for kind in numbers["layer_kinds"]),
    )


def _of(kind: type[_T], value: object) -> _T:
    if type(value) is not kind:  # bool is an int, and 1.0 is no count
        raise TypeError(f"{str(value)[:32]!r} is no {kind.__name__}")
    return value


def _side(value: object) -> int:
    if _of(int, value) < 1:
        raise TypeError(f"{value} is no side of a tensor")
    return _of(int, value)


def _line(error: BaseException) -> str:
    """What an error says, as a part of a sentence."""
    text = "".join(char if char.isprintable() else " " for char in str(error)[:200])
    return text or type(error).__name__


def _texts(data: bytes) -> Iterator[str]:
    """``data`` in pieces of bounded length, as text with surrogates for what is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text = ""
    for at in range(0, len(data), _PIECE):
        last = at + _PIECE >= len(data)
        text += decoder.decode(data[at : at + _PIECE], last)
        end = len(text) if last else _last_word(text)
        yield text[:end]
        text = text[end:]


def _last_word(text: str) -> int:
    """Where the last word of ``text`` begins; its end if it is all one word."""
    return max(text.rfind("\n") + 1, text.rfind(" ")) or len(text)


def _runs(offsets: list[tuple[int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """Tokens that share characters: the first token, the one after the last, the same of the characters."""
    first, begin, end = 0, 0, 0
    for token, (start, stop) in enumerate(offsets):
        if start >= end:
            if token > first:
                yield first, token, begin, end
            first, begin, end = token, start, stop
        else:
            end = max(end, stop)
    if offsets:
        yield first, len(offsets), begin, end
