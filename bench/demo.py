"""``make demo``: nczip beside the compressors that are installed here, on real files."""

import pydoc_data.topics
import shlex
import subprocess
import sys
from pathlib import Path

from nczip import _core, corpora

CORPUS = "canterbury"
SOLO = "canterbury/alice29.txt"  # one file is enough to see the slowest level at work
FETCH_SECONDS = 15


def main() -> int:
    directory = corpora.data_directory()
    corpus = corpora.catalog()[CORPUS]
    if len(corpora.present(corpus, directory)) < len(corpus.files):
        print(f"The Canterbury corpus is not in {directory}; trying to fetch it.", flush=True)
        _fetch()
    if len(corpora.present(corpus, directory)) == len(corpus.files):
        print(f"On the Canterbury corpus in {directory}:", flush=True)
        status = _nczip("report", "--levels", "3,4,5", CORPUS)
        return _nczip("report", "--levels", "4,5,6", "--peers", "none", str(directory / SOLO)) or status
    print("No corpus could be fetched. On text that every Python has, and on nczip's own core:", flush=True)
    files = [str(pydoc_data.topics.__file__), str(_core.__file__)]
    return _nczip("report", "--levels", "3,4,5,6", "--limit", "200K", *files)


def _fetch() -> None:
    try:
        _nczip("corpora", "fetch", CORPUS, timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"nothing came within {FETCH_SECONDS} s", flush=True)


def _nczip(*words: str, timeout: float | None = None) -> int:
    print(f"\n$ nczip {shlex.join(words)}", flush=True)
    here = Path(__file__).parent
    return subprocess.run(
        [sys.executable, "-m", "nczip", *words], cwd=here, timeout=timeout, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
