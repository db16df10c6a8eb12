#!/usr/bin/env bash
# Whether other compilers and CPUs write the same archives: GCC and Clang on x86-64, and aarch64 under emulation.
# Needs Debian's clang, g++-aarch64-linux-gnu and qemu-user; what is missing is said and passed over.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
native=$here/../../nczip/native
file=${1:-$here/../../LICENSE}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -c "import sys; from nczip import knowledge; open(sys.argv[1], 'wb').write(knowledge.load())" \
  "$work/knowledge"

compile() { # name, compiler, then PATH[:flags] for each path
  local name=$1 compiler=$2 path
  shift 2
  mkdir "$work/$name"
  for path in "$@"; do
    # shellcheck disable=SC2046,SC2086
    $compiler -std=c++20 -O2 -ffp-contract=off -fno-fast-math -Wno-psabi -DNCZ_ISA="${path%%:*}" \
      $(cut -s -d: -f2 <<<"$path") -c "$native/mixture_isa.cpp" -o "$work/$name/${path%%:*}.o"
  done
  $compiler -std=c++20 -O2 -ffp-contract=off -fno-fast-math -Wno-psabi -static "$here/print_packed.cpp" "$native/isa.cpp" "$work/$name"/*.o -o "$work/$name/run"
}

same() { # name, emulator, paths
  local name=$1 emulator=$2 isa
  shift 2
  for isa in "$@"; do
    NCZIP_ISA=$isa $emulator "$work/$name/run" "$file" "$work/knowledge" >"$work/out" 2>"$work/path"
    [ -e "$work/expected" ] || { cp "$work/out" "$work/expected"; cat "$work/out"; }
    cmp -s "$work/out" "$work/expected" || { echo "$name, $isa: other bytes"; cat "$work/out"; exit 1; }
    echo "$name, $(cat "$work/path"): the same"
  done
}

avx2="-mavx2 -mbmi -mbmi2 -mpopcnt"
avx512="$avx2 -mavx512f -mavx512bw -mavx512dq -mavx512vl"
x86=("scalar:-DNCZ_SCALAR" sse2 "avx2:$avx2" "avx512:$avx512" "vnni:$avx512 -mavx512vnni")
if [ "$(uname -m)" = x86_64 ]; then
  for compiler in g++ clang++; do
    if command -v $compiler >/dev/null; then
      compile $compiler $compiler "${x86[@]}"
      same $compiler "" scalar sse2 avx2 avx512 vnni
    else
      echo "$compiler: not installed"
    fi
  done
fi
if command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null; then
  compile aarch64 aarch64-linux-gnu-g++ "scalar:-DNCZ_SCALAR" neon
  same aarch64 qemu-aarch64 scalar neon
else
  echo "aarch64: no cross compiler or no emulator"
fi
