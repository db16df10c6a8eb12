"""What integers cost: a real model's bits per byte, by nczip and by a float32 network with its first weights.

Both read the same first tokens of a text in one context; nothing learns, and no mixture corrects them. Needs
PyTorch, which nothing else does.

    python bench/closeness.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf --model smollm2-135m TEXT...
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from nczip import _core
from nczip.models import gguf_source, store
from nczip.models.ncm import Model
from nczip.models.source import Source

LN_2 = np.log(2.0)


class FloatLlama:
    """A Llama as published (Touvron and others, 2023), in float32."""

    def __init__(self, source: Source) -> None:
        if source.architecture.family != "llama" or len(source.ropes) != 1:
            raise SystemExit("only plain Llamas are known here")
        self.source, self.shape = source, source.architecture

    def weight(self, name: str) -> Any:
        import torch

        tensor = self.source.tensors[name]
        rows = tensor.rows(np.arange(tensor.shape[0] if len(tensor.shape) > 1 else 1))
        return torch.from_numpy(rows if len(tensor.shape) > 1 else rows[0])

    def logits(self, ids: np.ndarray) -> np.ndarray:
        """After each of ``ids`` [n], in nats: [n, tokens]."""
        import torch
        from torch.nn import functional as f

        shape, n = self.shape, len(ids)
        with torch.no_grad():
            embedding = self.weight("embedding")
            x = embedding[torch.from_numpy(ids)]
            steps = -torch.arange(0, shape.head_dim, 2, dtype=torch.float64) / shape.head_dim
            angles = torch.arange(n)[:, None] * torch.tensor(self.source.ropes[0].theta).double() ** steps
            cos, sin = angles.cos().float(), angles.sin().float()

            def turned(part: Any) -> Any:
                a, b = part.chunk(2, dim=-1)
                return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)

            def normed(x: Any, name: str) -> Any:
                return f.rms_norm(x, (shape.hidden,), self.weight(name), shape.norm_eps)

            for i in range(shape.layers):
                at = f"layers.{i}."
                y = normed(x, at + "attention_norm")
                q, k, v = (
                    (y @ self.weight(at + part).T).view(n, -1, shape.head_dim).transpose(0, 1)
                    for part in "qkv"
                )
                y = f.scaled_dot_product_attention(
                    turned(q)[None], turned(k)[None], v[None], is_causal=True, enable_gqa=True
                )[0]
                x = x + y.transpose(0, 1).reshape(n, -1) @ self.weight(at + "output").T
                y = normed(x, at + "ffn_norm")
                y = f.silu(y @ self.weight(at + "gate").T) * (y @ self.weight(at + "up").T)
                x = x + y @ self.weight(at + "down").T
            head = self.weight("head") if "head" in self.source.tensors else embedding
            logits: np.ndarray = (normed(x, "final_norm") @ head.T).numpy()
            return logits


def bits(logits: np.ndarray, tokens: np.ndarray) -> float:
    """What ``tokens`` cost by logits in bits."""
    top = logits.max(axis=1, keepdims=True)
    total = np.log2(np.exp2((logits - top).astype(np.float64)).sum(axis=1)) + top[:, 0]
    return float((total - logits[np.arange(len(tokens)), tokens]).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description="What integers cost, in percent of bits per byte.")
    parser.add_argument("texts", nargs="+", type=Path, metavar="TEXT")
    parser.add_argument("--gguf", type=Path, required=True, help="what the model was converted from")
    parser.add_argument("--model", help="its name, its hash, or the path of its file")
    parser.add_argument("--tokens", type=int, default=1024, help="of each text; at most %(default)s")
    options = parser.parse_args()
    model = Model.open(store.find(options.model), verify=False)
    source = gguf_source.read(options.gguf)
    bos = source.tokenizer.bos
    if model.bos is None or bos is None:
        raise SystemExit("a model with a token for the beginning is needed")
    core = _core.LanguageModel(model.header["architecture"], model.header["attention"], dict(model.tensors))
    floats = FloatLlama(source)
    ids = model.tensors["vocabulary.ids"].astype(np.int64)
    known = np.flatnonzero(ids != 0xFFFFFFFF)
    print(f"{'text':16} {'bytes':>6} {'float32':>9} {'nczip':>9} {'loss':>8}")
    for path in options.texts:
        with path.open("rb") as file:
            tokens = model.encode(file.read(16 * options.tokens))[: min(options.tokens, 1024)]
        if (ids[tokens] == 0xFFFFFFFF).any():
            raise SystemExit(f"{path} has bytes that the model has no token for")
        size = len(model.decode(tokens))
        inputs = np.append(np.uint32(model.bos), tokens[:-1])
        logits = _core.logits(core, 2048, inputs.tobytes())
        by_core = np.frombuffer(logits, np.float32).reshape(len(tokens), -1)
        by_float = floats.logits(np.append(bos, ids[tokens[:-1]]))[:, ids[known]] / np.float32(LN_2)
        places = np.searchsorted(known, tokens)
        a, b = bits(by_float, places) / size, bits(by_core[:, known], places) / size
        print(f"{path.name:16} {size:6} {a:9.5f} {b:9.5f} {(b / a - 1) * 100:+7.3f}%", flush=True)


if __name__ == "__main__":
    main()
