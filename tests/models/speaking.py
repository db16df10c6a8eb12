"""A model that blocks can go through: random weights, 16 to a head as the core wants, and words to spell.

``formats/vectors`` holds its file, which golden archives name, so nothing here may change: every number comes
from SHAKE-256, and no library chooses any. ``tests/golden/make_vectors.py`` writes the file anew.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
from tiny_models import CONTROL, MISSING, NORMAL, File, byte_level, converted, f32

NAME = "tiny"
MODELS = Path(__file__).parents[2] / "formats" / "vectors" / "next" / "models"
(ID,) = {path.stem.rpartition("-")[2] for path in MODELS.glob("*.ncm")} or {""}  # what archives call it
HIDDEN, HEADS, KV_HEADS, HEAD_DIM, FFN, LAYERS = 32, 2, 1, 16, 48, 2

SPECIAL = ["<|im_end|>", "<|im_start|>"]
SENTENCE = (
    "the coder mixes what a model has seen of bits and bytes makes each one cheaper than before "
    "line block record worth two three four five six seven eight nine ten"
)
WORDS = SENTENCE.split()
OTHERS = ["\r\n", "\n", ".\n", ", ", ": ", "  ", "é", "東", "🤽", "import", "print("]


def merges() -> list[tuple[bytes, bytes]]:
    """Pairs that become one token, each word from its left, with a space before it and without."""
    found: dict[tuple[bytes, bytes], None] = {}
    for word in [*(f" {word}" for word in WORDS), *WORDS, *OTHERS]:
        data = word.encode()
        for end in range(1, len(data)):
            found[data[:end], data[end : end + 1]] = None
    return list(found)


def weights(name: str, *shape: int, size: float) -> np.ndarray:
    """Uniform from -size to size. All but the last product is exact."""
    count = int(np.prod(shape))
    drawn = np.frombuffer(hashlib.shake_256(name.encode()).digest(2 * count), "<i2").astype(np.float32)
    return (drawn * np.float32(size / 32768)).reshape(shape)


def speaking() -> File:
    """The model as a GGUF file."""
    singles = [bytes([byte]) for byte in range(256) if byte not in MISSING]
    pairs = merges()
    joined = list(dict.fromkeys(left + right for left, right in pairs))
    tokens = [*SPECIAL, *map(byte_level, singles), *map(byte_level, joined)]
    metadata = {
        "general.architecture": "llama",
        "general.name": NAME,
        "general.license": "cc0-1.0",
        "llama.block_count": LAYERS,
        "llama.context_length": 4096,
        "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": FFN,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 10000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [CONTROL] * len(SPECIAL) + [NORMAL] * (len(tokens) - len(SPECIAL)),
        "tokenizer.ggml.merges": [f"{byte_level(left)} {byte_level(right)}" for left, right in pairs],
        "tokenizer.ggml.bos_token_id": 1,
    }
    matrices: dict[str, tuple[int, int]] = {"token_embd": (len(tokens), HIDDEN)}
    norms = ["output_norm"]
    for layer in range(LAYERS):
        matrices |= {
            f"blk.{layer}.{name}": shape
            for name, shape in {
                "attn_q": (HEADS * HEAD_DIM, HIDDEN),
                "attn_k": (KV_HEADS * HEAD_DIM, HIDDEN),
                "attn_v": (KV_HEADS * HEAD_DIM, HIDDEN),
                "attn_output": (HIDDEN, HEADS * HEAD_DIM),
                "ffn_gate": (FFN, HIDDEN),
                "ffn_up": (FFN, HIDDEN),
                "ffn_down": (HIDDEN, FFN),
            }.items()
        }
        norms += [f"blk.{layer}.attn_norm", f"blk.{layer}.ffn_norm"]
    tensors = {f"{name}.weight": f32(np.ones(HIDDEN, np.float32)) for name in norms}
    tensors |= {f"{name}.weight": f32(weights(name, *shape, size=0.25)) for name, shape in matrices.items()}
    return File(metadata, tensors)


def model_file() -> tuple[str, bytes]:
    """Its name in a folder of models, and its bytes."""
    with tempfile.TemporaryDirectory() as directory:
        model = converted(speaking(), Path(directory), NAME)
        return f"{NAME}-{model.id.hex()}.ncm", model.path.read_bytes()


def write() -> None:
    """Makes it the only model of MODELS."""
    name, data = model_file()
    MODELS.mkdir(parents=True, exist_ok=True)
    for path in MODELS.iterdir():
        path.unlink()
    (MODELS / name).write_bytes(data)
