#!/usr/bin/env bash
# Builds nczip into build/site, again if its sources have changed, and runs cuda/check.py with it. PYTHON names another
# Python than python3. Needs a C++ compiler, and Python's packages as cuda/README.md lists them. Nothing is fetched.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
site=$PWD/build/site
if [ ! -e "$site/.built" ] || [ -n "$(find nczip CMakeLists.txt pyproject.toml -newer "$site/.built" -type f \
  ! -name '*.pyc' -print -quit)" ]; then
  rm -rf "$site"
  CMAKE_BUILD_PARALLEL_LEVEL=${JOBS:-$(nproc)} "$python" -m pip install -q --disable-pip-version-check --no-deps \
    --no-build-isolation --no-index --target "$site" .
  touch "$site/.built"
fi
PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 exec "$python" cuda/check.py "$@"
