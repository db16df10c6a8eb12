#!/usr/bin/env bash
# Builds nczip for this machine's Python where that has not been done, and runs cuda/check.py. PYTHON names another one.
# Needs a C++ compiler, and of Python's packages nanobind, scikit-build-core, cmake, ninja, click, numpy, tokenizers,
# xxhash, zstandard, cuda-bindings, NVRTC; pytest for the part "kernels". Nothing is fetched.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
site=$PWD/build/site
if ! PYTHONPATH=$site:${PYTHONPATH:-} "$python" -c 'import sys; sys.path.remove(""); import nczip._core' 2>/dev/null; then
  CMAKE_BUILD_PARALLEL_LEVEL=${JOBS:-$(nproc)} "$python" -m pip install -q --disable-pip-version-check --no-deps \
    --no-build-isolation --no-index --target "$site" .
fi
PYTHONPATH=$site:${PYTHONPATH:-} PYTHONUNBUFFERED=1 exec "$python" cuda/check.py "$@"
