"""Fuzzes the decoder with atheris (libFuzzer for Python):

    python tests/fuzz/fuzz_decoder.py CORPUS_FOLDER [libFuzzer options, e.g. -max_total_time=60]

The folder is filled with the seeds first, and keeps what the fuzzer finds worth keeping. An input that breaks
the decoder is written to the current folder; copy it to tests/fuzz/found/, where the tests try it ever after.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["nczip"]):
    import harness

    import nczip.archive
    import nczip.inspection
    import nczip.salvaging
    import nczip.stream  # noqa: F401


def main() -> None:
    """Writes the seeds and hands over to libFuzzer, which does not return."""
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for name, data in harness.seeds():
        (corpus / name).write_bytes(data)
    atheris.Setup(sys.argv, harness.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
