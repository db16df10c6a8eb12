"""Where the tensors lie in safetensors, GGUF and NPY files, read from the header and from nothing else.

Every number in a header is a claim: a file that contradicts itself is no tensor file to us, just bytes.
Nothing is executed or unpickled. Members of zip archives count where they are stored.

Layouts: safetensors (Hugging Face, 2022), GGUF versions 2 and 3 (Gerganov
and others, 2023), NPY versions 1 to 3 (NumPy).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from math import prod
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    import zipfile

    from typing_extensions import Buffer

MAX_HEADER = 64 << 20  # bytes
_MAX_TENSORS = 1 << 20
_MAX_DIMENSIONS = 64
_MAX_ELEMENTS = 1 << 58
_MAX_VALUES = 1 << 21  # in the header of a safetensors file

# Bytes of an element, by the name that safetensors has for its type; others' types are given the same names.
_ELEMENTS = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
# GGUF's quantised types: elements and bytes of a block.
QUANTISED = {
    "Q4_0": (32, 18), "Q4_1": (32, 20), "Q5_0": (32, 22), "Q5_1": (32, 24), "Q8_0": (32, 34),
    "Q8_1": (32, 36), "Q2_K": (256, 84), "Q3_K": (256, 110), "Q4_K": (256, 144), "Q5_K": (256, 176),
    "Q6_K": (256, 210),
    "Q8_K": (256, 292), "IQ2_XXS": (256, 66), "IQ2_XS": (256, 74), "IQ3_XXS": (256, 98), "IQ1_S": (256, 50),
    "IQ4_NL": (32, 18), "IQ3_S": (256, 110), "IQ2_S": (256, 82), "IQ4_XS": (256, 136), "IQ1_M": (256, 56),
    "TQ1_0": (256, 54), "TQ2_0": (256, 66), "MXFP4": (32, 17),
}  # fmt: skip
# The smallest whole part of every type: elements and bytes.
UNITS = {name: (1, size) for name, size in _ELEMENTS.items()} | QUANTISED
GGUF_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K",
    11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS",
    19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32",
    27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}  # fmt: skip
_GGUF_STRING, _GGUF_ARRAY = 8, 9
_GGUF_NUMBERS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes, by type
_GGUF_ALIGNMENT = 32
NPY_NAME = "array"  # an NPY file has one array, without a name
NPY_MAGIC = b"\x93NUMPY"
_MAX_DIRECTORY = 16 << 20  # bytes of a zip archive's list of members
LOCAL_HEADER = 30  # bytes of a zip member's header, without its name
_NPY_KINDS = {"b": "BOOL", "i": "I", "u": "U", "f": "F"}


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """A tensor in a file: ``dtype`` as safetensors or GGUF spell it, the last of ``shape`` runs fastest.

    ``start`` and ``end`` are bytes from the beginning of the file. An unknown type keeps its name. An array
    that ``is_transposed`` has the axes the other way round for NumPy, as Fortran does.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int
    is_transposed: bool = False

    @property
    def row(self) -> int:
        """Elements of a row: what a column runs across."""
        return self.shape[-1] if len(self.shape) > 1 else 0

    def moved(self, by: int) -> TensorEntry:
        """The same tensor, so many bytes further on."""
        return replace(self, start=self.start + by, end=self.end + by)


class _NotThisError(Exception):
    """The bytes are not the file that they begin as, or the header does not end in time."""


def read_entries(file: BinaryIO, size: int | None = None) -> list[TensorEntry]:
    """The tensors of a file that begins here, in the order of their bytes; none if it is no such file.

    ``file`` is read from where it stands, as far as the header goes. ``size``: bytes of the whole file where
    they are known; tensors must end within.
    """
    head = _Head(file, MAX_HEADER if size is None else min(MAX_HEADER, size))
    try:
        magic = head.take(8)
        if magic[:4] == b"GGUF":
            entries = _gguf(head, magic)
        elif magic[:6] == NPY_MAGIC:
            entries = _npy(head, magic)
        else:
            entries = _safetensors(head, magic)
        return _checked(entries, size)
    except (_NotThisError, ValueError, LookupError, RecursionError, MemoryError, SyntaxError, TypeError):
        return []


def read_file(file: BinaryIO, size: int) -> list[TensorEntry]:
    """The tensors of a whole file of so many bytes, which can be sought: those that ``read_entries`` finds.

    Or else the arrays of an NPZ file, without ".npy" in their names; or the tensors of a PyTorch checkpoint,
    by the keys that lead to them, and what is in none of them by the names of their members, as bytes.
    """
    file.seek(0)
    found = read_entries(file, size)
    if found:
        return found
    file.seek(0)
    if file.read(2) != b"PK":
        return []
    import zipfile

    try:
        with zipfile.ZipFile(cast(IO[bytes], _Sparing(file))) as archive:
            infos = archive.infolist()
        members = _checked([_member(file, info) for info in infos if info.compress_type == 0], size)
    except (_NotThisError, zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, RuntimeError):
        return []
    arrays = [array for member in members for array in _arrays(file, member)]
    return _named(file, arrays)


class _Sparing:
    """A file for ``zipfile``, which takes whatever size an archive claims that its list of members has."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY:
            raise ValueError
        return self._file.read(_MAX_DIRECTORY if size < 0 else size)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the pickle of a PyTorch checkpoint says: of each member, bytes that it has and tensors in it.

    Types, shapes and places of these are claims, and so are the sizes.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    claims: dict[str, list[TensorEntry]] = field(default_factory=dict)

    @classmethod
    def read(cls, name: str, pickled: Buffer) -> Checkpoint:
        """From the pickle, and the name of its member; nothing is unpickled."""
        from nczip import pytorch

        before = name.removesuffix("data.pkl") + "data/"
        try:
            found = pytorch.read(bytes(pickled))
        except pytorch.UnknownPickleError:
            return cls()
        claims: dict[str, list[TensorEntry]] = {}
        for one in found.tensors:
            entry = TensorEntry(
                one.name, one.dtype, one.shape, one.offset, one.offset + one.size, one.is_transposed
            )
            claims.setdefault(before + one.storage, []).append(entry)
        return cls({before + storage: size for storage, size in found.storages.items()}, claims)

    def tensors(self, member: str, size: int) -> list[TensorEntry]:
        """Those in a member of so many bytes, in their order; where some overlap, the first and longest."""
        found: list[TensorEntry] = []
        done = 0
        claims = self.claims.pop(member, ())  # another member of that name is another's
        for entry in sorted(claims, key=lambda entry: (entry.start, -entry.end)):
            if done <= entry.start and entry.end <= size:
                found.append(entry)
                done = entry.end
        return found


def tensor_key(name: str) -> str:
    """What names of one tensor in two files have in common: not the folder of a checkpoint's storages."""
    storage = name.partition("/")[2]
    return storage if storage.startswith("data/") else name


def _member(file: BinaryIO, info: zipfile.ZipInfo) -> TensorEntry:
    """A stored member as bytes."""
    file.seek(info.header_offset)
    name, extra = struct.unpack("<HH", file.read(LOCAL_HEADER)[26:])
    start = info.header_offset + LOCAL_HEADER + name + extra
    return TensorEntry(info.filename, "U8", (info.file_size,), start, start + info.file_size)


def _arrays(file: BinaryIO, member: TensorEntry) -> list[TensorEntry]:
    """A member, or the array in it if it is an NPY file whose type is known."""
    if not member.name.endswith(".npy"):
        return [member]
    file.seek(member.start)
    found = read_entries(file, member.end - member.start)
    arrays = [replace(entry, name=member.name[:-4]).moved(member.start) for entry in found]
    return arrays or [member]


def _named(file: BinaryIO, members: list[TensorEntry]) -> list[TensorEntry]:
    """The members of a zip file, with a PyTorch checkpoint's tensors instead of the storages they are in."""
    places = {member.name: member for member in members}
    pickles = [name for name in places if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        return members

    def content(name: str) -> bytes:
        file.seek(places[name].start)
        return file.read(places[name].end - places[name].start)

    byte_order = pickles[0].removesuffix("data.pkl") + "byteorder"
    if places[pickles[0]].shape[0] > MAX_HEADER or (
        byte_order in places and (places[byte_order].shape[0] != 6 or content(byte_order) != b"little")
    ):
        return members
    found: dict[str, TensorEntry] = {}
    used = set()
    for name, claims in Checkpoint.read(pickles[0], content(pickles[0])).claims.items():
        for claim in claims:
            fits = name in places and places[name].start + claim.end <= places[name].end
            if fits and claim.name not in found:
                found[claim.name] = claim.moved(places[name].start)
                used.add(name)
    return [*found.values(), *(member for member in members if member.name not in used)]


def may_have_entries(head: bytes | memoryview) -> bool:
    """Whether a file with these first bytes, 16 or more, may have tensors: its header is worth reading."""
    if head[:4] == b"GGUF" or head[:6] == NPY_MAGIC:
        return True
    return head[8:10] == b'{"' and int.from_bytes(head[:8], "little") <= MAX_HEADER


class _Head:
    """The beginning of a file, taken piece by piece."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most
        self.at = 0

    def take(self, size: int) -> bytes:
        if size > self._most - self.at:
            raise _NotThisError
        taken = self._file.read(size)
        self.at += size
        if len(taken) < size:
            raise _NotThisError
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")


def _checked(entries: list[TensorEntry], size: int | None) -> list[TensorEntry]:
    """In the order of their bytes, if none lies in another, ends beyond the file, or has another's name."""
    entries.sort(key=lambda entry: (entry.start, entry.end))
    end = 0
    for entry in entries:
        if entry.start < end:
            raise _NotThisError
        end = entry.end
    if (size is not None and end > size) or len({entry.name for entry in entries}) < len(entries):
        raise _NotThisError
    return entries


def _is_count(number: Any) -> bool:
    return type(number) is int and 0 <= number < 1 << 62


def _entry(name: str, dtype: str, shape: tuple[int, ...], start: int, length: int | None) -> TensorEntry:
    """A tensor whose bytes follow from its shape; ``length`` is what the header says of them."""
    if len(shape) > _MAX_DIMENSIONS or not all(map(_is_count, shape)) or not _is_count(start):
        raise _NotThisError
    if prod(max(1, size) for size in shape) >= _MAX_ELEMENTS:  # an empty array cannot have any shape either
        raise _NotThisError
    if dtype in QUANTISED:
        elements, size = UNITS[dtype]
        if not shape or shape[-1] % elements:
            raise _NotThisError
        bytes_ = prod(shape) // elements * size
    elif dtype in UNITS:
        bytes_ = prod(shape) * UNITS[dtype][1]
    elif length is None:
        raise _NotThisError
    else:
        bytes_ = length
    if (length is not None and length != bytes_) or not _is_count(start + bytes_):
        raise _NotThisError
    return TensorEntry(name, dtype, shape, start, start + bytes_)


def _safetensors(head: _Head, length: bytes) -> list[TensorEntry]:
    text = head.take(int.from_bytes(length, "little"))
    # A tensor has one object and two lists: more of them is a header made to take memory.
    if not text.startswith(b"{") or text.count(b"{") > _MAX_TENSORS or text.count(b"[") > 2 * _MAX_TENSORS:
        raise _NotThisError
    if text.count(b",") > _MAX_VALUES:
        raise _NotThisError
    import json

    header = json.loads(text.decode(), object_pairs_hook=_unique)
    header.pop("__metadata__", None)
    begin = head.at
    entries = []
    for name, claim in header.items():
        first, last = claim["data_offsets"]
        if not _is_count(first) or not _is_count(last) or not isinstance(claim["dtype"], str):
            raise _NotThisError
        shape = tuple(claim["shape"])
        entries.append(_entry(name, claim["dtype"], shape, begin + first, last - first))
    return entries


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _NotThisError
    return found


def _gguf(head: _Head, magic: bytes) -> list[TensorEntry]:
    if int.from_bytes(magic[4:], "little") not in (2, 3):
        raise _NotThisError
    tensors, entries = head.number(8), head.number(8)
    if tensors > _MAX_TENSORS or entries > _MAX_TENSORS:
        raise _NotThisError
    alignment = _GGUF_ALIGNMENT
    for _ in range(entries):
        key = head.take(head.number(8))
        value = _gguf_value(head, head.number(4))
        if key == b"general.alignment":
            alignment = int.from_bytes(value, "little")
    if not 1 <= alignment <= 1 << 20:
        raise _NotThisError
    infos = [_gguf_info(head) for _ in range(tensors)]
    begin = -(-head.at // alignment) * alignment
    return [_entry(name, dtype, shape, begin + offset, None) for name, dtype, shape, offset in infos]


def _gguf_value(head: _Head, kind: int) -> bytes:
    """Passes over a value of the metadata; gives the bytes of one that is a number."""
    if kind == _GGUF_STRING:
        head.take(head.number(8))
    elif kind == _GGUF_ARRAY:
        kind, count = head.number(4), head.number(8)
        if kind == _GGUF_STRING:
            for _ in range(count):
                head.take(head.number(8))
        else:
            head.take(count * _GGUF_NUMBERS[kind])
    else:
        return head.take(_GGUF_NUMBERS[kind])
    return b""


def _gguf_info(head: _Head) -> tuple[str, str, tuple[int, ...], int]:
    name = head.take(head.number(8)).decode("utf-8", "surrogateescape")
    dimensions = head.number(4)
    if dimensions > _MAX_DIMENSIONS:
        raise _NotThisError
    shape = struct.unpack(f"<{dimensions}Q", head.take(8 * dimensions))
    kind, offset = head.number(4), head.number(8)
    return name, GGUF_TYPES[kind], shape[::-1], offset


def _npy(head: _Head, magic: bytes) -> list[TensorEntry]:
    if magic[6] not in (1, 2, 3):
        raise _NotThisError
    length = head.number(2 if magic[6] == 1 else 4)
    if length > 1 << 16:
        raise _NotThisError
    import ast

    header = ast.literal_eval(head.take(length).decode("latin-1"))
    order, kind, width = header["descr"][0], header["descr"][1], int(header["descr"][2:])
    shape = header["shape"]
    if not isinstance(shape, tuple) or order not in "<|=" or width not in (1, 2, 4, 8):
        raise _NotThisError
    dtype = "BOOL" if kind == "b" else f"{_NPY_KINDS[kind]}{8 * width}"
    if header["fortran_order"]:
        return [replace(_entry(NPY_NAME, dtype, shape[::-1], head.at, None), is_transposed=True)]
    return [_entry(NPY_NAME, dtype, shape, head.at, None)]
