"""How fast llama.cpp runs a model on one core; ``bench_llm.py`` starts this in the environment that has it.

Prints one JSON object. Times are the core's, in the C library alone: neither loading, nor tokenizing, nor
choosing a token counts.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp  # type: ignore[import-not-found]  # it is in an environment of its own
import numpy as np

BATCH = 512  # tokens at a time, llama.cpp's own default for its compute graph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("model", type=Path, help="GGUF file")
    parser.add_argument("tokens", type=Path, help="ids, 4 bytes each")
    parser.add_argument("--window", type=int, required=True, help="tokens that the model looks back on")
    parser.add_argument("--prompt", type=int, default=0, help="tokens to run with the logits of each")
    parser.add_argument("--generate", type=int, default=0, help="tokens to run one by one")
    options = parser.parse_args()
    tokens = np.fromfile(options.tokens, np.uint32).tolist()
    silent = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(silent, None)
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(
        str(options.model).encode(), llama_cpp.llama_model_default_params()
    )
    said: dict[str, Any] = {
        "version": llama_cpp.__version__,
        "system": llama_cpp.llama_print_system_info().decode().strip(),
    }
    with _context(model, options.window) as context:
        _run(context, tokens[:1])  # what happens once does not count
        if options.prompt:
            said["prompt"] = _prompt(model, context, tokens[: options.prompt], options.window)
        if options.generate:
            said["generate"] = _generate(context, tokens[: options.generate], options.window)
    print(json.dumps(said))


@contextmanager
def _context(model: Any, window: int) -> Iterator[Any]:
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = window
    parameters.n_batch = parameters.n_ubatch = BATCH
    parameters.n_threads = parameters.n_threads_batch = 1
    context = llama_cpp.llama_init_from_model(model, parameters)
    if not context:
        raise SystemExit("llama.cpp makes no context")
    yield context
    llama_cpp.llama_free(context)


def _run(context: Any, tokens: Sequence[int], position: int = 0) -> float:
    """Runs tokens in a fresh context or behind others, with the logits of each; returns seconds."""
    if position == 0:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position + i, 1, 1
        batch.seq_id[i][0] = 0
    begin = time.process_time()
    status = llama_cpp.llama_decode(context, batch)
    llama_cpp.llama_get_logits(context)  # waits for what is under way
    seconds = time.process_time() - begin
    llama_cpp.llama_batch_free(batch)
    if status:
        raise SystemExit(f"llama.cpp cannot run {len(tokens)} tokens: {status}")
    return seconds


def _prompt(model: Any, context: Any, tokens: Sequence[int], window: int) -> dict[str, float]:
    """Windows side by side. ``bits``: those of a token, to see that the logits are there."""
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    seconds, bits, coded = 0.0, 0.0, 0
    for begin in range(0, len(tokens), window):
        inside = tokens[begin : begin + window]
        for at in range(0, len(inside), BATCH):
            some = inside[at : at + BATCH]
            seconds += _run(context, some, at)
            following = inside[at + 1 : at + 1 + BATCH]
            shape = (len(some), vocabulary)
            logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits(context), shape)[: len(following)]
            highest = logits.max(axis=1)
            totals = np.exp(logits - highest[:, None]).sum(axis=1)
            chosen = logits[np.arange(len(following)), following]
            bits += float((np.log2(totals) + (highest - chosen) / np.log(2)).sum())
            coded += len(following)
    return {"tokens": len(tokens), "seconds": seconds, "bits": bits / max(1, coded)}


def _generate(context: Any, tokens: Sequence[int], window: int) -> dict[str, float]:
    """The text's own tokens, each run after the ones before it, as if the model had chosen them."""
    seconds = sum(_run(context, [token], place % window) for place, token in enumerate(tokens))
    return {"tokens": len(tokens), "seconds": seconds}


if __name__ == "__main__":
    main()
