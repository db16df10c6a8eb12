"""Files of tensors, made byte for byte."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

Claims = Mapping[str, tuple[str, Sequence[int], bytes]]  # type, shape, bytes


def safetensors(tensors: Claims, **more: object) -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header | more).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def gguf(tensors: Mapping[str, tuple[int, Sequence[int], bytes]], alignment: int | None = None) -> bytes:
    """``tensors``: number of the type, shape with the last running fastest, bytes."""

    def string(text: str) -> bytes:
        return struct.pack("<Q", len(text)) + text.encode()

    entries = [
        string("general.name") + struct.pack("<I", 8) + string("tiny"),
        string("tokens") + struct.pack("<IIQ", 9, 8, 2) + string("a") + string("bc"),
        string("numbers") + struct.pack("<IIQ3f", 9, 6, 3, 1, 2, 3),
    ]
    if alignment is not None:
        entries.append(string("general.alignment") + struct.pack("<II", 4, alignment))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries)
    data = b""
    step = alignment or 32
    for name, (kind, shape, content) in tensors.items():
        data += bytes(-len(data) % step)
        head += string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], kind, len(data))
        data += content
    return head + bytes(-len(head) % step) + data


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


class Pipe(io.BytesIO):
    """Cannot be sought, so that sizes in a zip archive follow what they are of, as PyTorch writes them."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        raise OSError


def zipped(members: Mapping[str, bytes] | Iterable[tuple[str, bytes]], *, streamed: bool = False) -> bytes:
    file = Pipe() if streamed else io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items() if isinstance(members, Mapping) else members:
            archive.writestr(name, content)
    return file.getvalue()


def pickled_tensors(tensors: Mapping[str, tuple[str, int, int, Sequence[int]]]) -> bytes:
    """As PyTorch pickles a dict of float32 tensors; of each: storage, elements of that, the first, shape."""

    def string(text: str) -> bytes:
        return b"X" + struct.pack("<I", len(text)) + text.encode()

    def tuple_(numbers: Sequence[int]) -> bytes:
        return b"(%st" % b"".join(b"J" + struct.pack("<i", number) for number in numbers)

    made = b"\x80\2}("
    for name, (storage, count, first, shape) in tensors.items():
        strides = np.cumprod([1, *shape[:0:-1]])[::-1].tolist()
        made += string(name) + b"ctorch._utils\n_rebuild_tensor_v2\n("
        made += b"(%sctorch\nFloatStorage\n%s" % (string("storage"), string(storage))
        made += b"%sJ%stQ" % (string("cpu"), struct.pack("<i", count))
        made += b"J" + struct.pack("<i", first) + tuple_(shape) + tuple_(strides) + b"\x89}tR"
    return made + b"u."
