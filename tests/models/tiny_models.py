"""Small models as GGUF files, byte by byte, so that each byte can also be wrong."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from nczip.models import convert, gguf_source
from nczip.models.ncm import Model
from nczip.models.source import Source

F32, F16, Q8_0 = 0, 1, 8
HIDDEN, HEADS, KV_HEADS, HEAD_DIM, FFN, LAYERS = 32, 4, 2, 8, 48, 2


@dataclass
class Raw:
    """A value of metadata as its type and its bytes, right or wrong."""

    kind: int
    data: bytes


@dataclass
class TensorBytes:
    """``shape`` as NumPy has it."""

    shape: tuple[int, ...]
    kind: int
    data: bytes
    offset: int | None = None


@dataclass
class File:
    """What a GGUF file is made of; ``pack`` says what is not in here by itself."""

    metadata: dict[str, Any]
    tensors: dict[str, TensorBytes]
    version: int = 3
    alignment: int = 32
    counts: tuple[int | None, int | None] = (None, None)
    twice: list[str] = field(default_factory=list)  # names that come twice

    def pack(self) -> bytes:
        head, data = self.parts()
        return head + data

    def write(self, path: Path) -> Path:
        path.write_bytes(self.pack())
        return path

    def parts(self) -> tuple[bytes, bytes]:
        """Everything before the data, padded, and the data."""
        entries = [
            (key, value) for key, value in self.metadata.items() for _ in range(1 + (key in self.twice))
        ]
        tensors = [(name, one) for name, one in self.tensors.items() for _ in range(1 + (name in self.twice))]
        infos, data = b"", b""
        for name, one in tensors:
            data += bytes(-len(data) % self.alignment)
            offset = len(data) if one.offset is None else one.offset
            infos += string(name) + struct.pack("<I", len(one.shape))
            infos += b"".join(struct.pack("<Q", side) for side in reversed(one.shape))
            infos += struct.pack("<IQ", one.kind, offset)
            data += one.data
        given = [len(tensors), len(entries)]
        given = [own if said is None else said for said, own in zip(self.counts, given, strict=True)]
        head = b"GGUF" + struct.pack("<IQQ", self.version, *given)
        head += b"".join(string(key) + value_of(value) for key, value in entries) + infos
        return head + bytes(-len(head) % self.alignment), data


def string(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(data)) + data


def value_of(value: Any) -> bytes:
    """A value with its type: u32 for int, f32 for float; lists are of one type."""
    if isinstance(value, Raw):
        return struct.pack("<I", value.kind) + value.data
    if isinstance(value, list):
        bare = [value_of(item) for item in value]
        return (
            struct.pack("<I", 9)
            + (bare[0][:4] if bare else bytes(4))
            + struct.pack("<Q", len(bare))
            + b"".join(item[4:] for item in bare)
        )
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<Ii" if value < 0 else "<II", 5 if value < 0 else 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    return struct.pack("<I", 8) + string(value)


def byte_level(data: bytes) -> str:
    """GPT-2's spelling of bytes, by its own definition."""
    printable = {
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    }
    others = [byte for byte in range(256) if byte not in printable]
    return "".join(chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in data)


WORDS = [b"th", b"the", b" the", b"in", b" t", b"\xc3\xa9", b"\r\n", b"  ", b"12"]
PAIRS = [
    (b"t", b"h"),
    (b"th", b"e"),
    (b" ", b"the"),
    (b"i", b"n"),
    (b" ", b"t"),
    (b"\xc3", b"\xa9"),
    (b"\r", b"\n"),
    (b" ", b" "),
    (b"1", b"2"),
]
MISSING = (0, 0x80, 0xC7, 0xFF)  # bytes that no token spells
CONTROL, USER, BYTE, NORMAL, UNUSED = 3, 4, 6, 1, 5


def gpt2_vocabulary(pre: str = "smollm") -> dict[str, Any]:
    """Two control tokens, the bytes but for some, a few words, one token of the user's, one unused."""
    singles = [bytes([byte]) for byte in range(256) if byte not in MISSING]
    tokens = ["<|end|>", "<|begin|>", *map(byte_level, singles), *map(byte_level, WORDS), "<tool>", "[PAD]"]
    types = [CONTROL] * 2 + [NORMAL] * (len(singles) + len(WORDS)) + [USER, UNUSED]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": [f"{byte_level(left)} {byte_level(right)}" for left, right in PAIRS],
        "tokenizer.ggml.bos_token_id": 1,
    }


PIECES = ["▁", "e", "t", "h", "▁t", "he", "▁the", "th", "é", "A", "\n", "in", "i", "n"]


def llama_vocabulary() -> dict[str, Any]:
    """Pieces with scores, all bytes as fallback; A and the newline are there both ways."""
    tokens = ["<unk>", "<bos>", *(f"<0x{byte:02X}>" for byte in range(256)), *PIECES, "<td>"]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [2, CONTROL] + [BYTE] * 256 + [NORMAL] * len(PIECES) + [USER],
        "tokenizer.ggml.scores": [0.0] * 258 + [-float(i) for i in range(len(PIECES))] + [-1000.0],
        "tokenizer.ggml.bos_token_id": 1,
    }


def weights(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def f32(values: np.ndarray) -> TensorBytes:
    return TensorBytes(values.shape, F32, values.astype("<f4").tobytes())


def tiny(family: str = "llama", vocabulary: Mapping[str, Any] | None = None) -> File:
    """A model of the family, with all tensors in float32."""
    vocabulary = gpt2_vocabulary() if vocabulary is None else vocabulary
    metadata = {
        "general.architecture": family,
        "general.name": f"Tiny {family}",
        "general.license": "cc0-1.0",
        f"{family}.block_count": LAYERS,
        f"{family}.context_length": 64,
        f"{family}.embedding_length": HIDDEN,
        f"{family}.feed_forward_length": FFN,
        f"{family}.attention.head_count": HEADS,
        f"{family}.attention.head_count_kv": KV_HEADS,
        f"{family}.attention.layer_norm_rms_epsilon": 1e-6,
        f"{family}.rope.freq_base": 10000.0,
        **vocabulary,
    }
    if family == "gemma3":
        metadata["gemma3.attention.sliding_window"] = 16
        metadata["gemma3.rope.freq_base"] = 1000000.0
    attended, kept = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(vocabulary["tokenizer.ggml.tokens"]), HIDDEN),
        "output_norm.weight": (HIDDEN,),
    }
    for layer in range(LAYERS):
        block = {
            "attn_norm.weight": (HIDDEN,),
            "attn_q.weight": (attended, HIDDEN),
            "attn_k.weight": (kept, HIDDEN),
            "attn_v.weight": (kept, HIDDEN),
            "attn_output.weight": (HIDDEN, attended),
            "ffn_norm.weight": (HIDDEN,),
            "ffn_gate.weight": (FFN, HIDDEN),
            "ffn_up.weight": (FFN, HIDDEN),
            "ffn_down.weight": (HIDDEN, FFN),
        }
        if family == "qwen2":
            block |= {"attn_q.bias": (attended,), "attn_k.bias": (kept,), "attn_v.bias": (kept,)}
        if family in ("qwen3", "gemma3"):
            block |= {"attn_q_norm.weight": (HEAD_DIM,), "attn_k_norm.weight": (HEAD_DIM,)}
        if family == "gemma3":
            block |= {"post_attention_norm.weight": (HIDDEN,), "post_ffw_norm.weight": (HIDDEN,)}
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}
    return File(
        metadata, {name: f32(weights(seed, *shape)) for seed, (name, shape) in enumerate(shapes.items())}
    )


def values_in(file: File, name: str) -> np.ndarray:
    """The floats of a float32 tensor."""
    one = file.tensors[name]
    return np.frombuffer(one.data, "<f4", prod(one.shape)).reshape(one.shape)


def as_model_file(source: Source, path: Path, name: str = "tiny") -> Model:
    """The model file of a source, opened."""
    with path.open("wb") as sink:
        convert.write(source, sink, name=name, on_progress=lambda *_: None)
    return Model.open(path)


def converted(file: File, directory: Path, name: str = "tiny") -> Model:
    """The model file of a GGUF file, opened."""
    return as_model_file(gguf_source.read(file.write(directory / "m.gguf")), directory / "m.ncm", name)
