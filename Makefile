# Every target works in a fresh clone: the first one that needs it makes the environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.built
NATIVE := CMakeLists.txt pyproject.toml $(wildcard nczip/native/*)
JOBS ?= 2

# Where corpora and quoted figures lie, if not where nczip looks by itself: a folder beside this one, when there is one.
export NCZIP_CORPORA ?= $(abspath $(wildcard ../shared/corpora))
export NCZIP_QUOTED ?= $(abspath $(wildcard ../shared/peers.csv))

.PHONY: setup build demo test test-slow lint bench man clean

setup: $(STAMP)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check "scikit-build-core>=0.11" "nanobind>=2.4" "cmake>=3.22" ninja

$(STAMP): $(VENV)/bin/python $(NATIVE)
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -C editable.mode=redirect -C build-dir=build \
	  -C cmake.define.NCZIP_WERROR=ON -e ".[test,lint,plot]"
	touch $(STAMP)

build: setup

# nczip beside the compressors that are installed, on real files; about a minute.
demo: setup
	$(BIN)/python bench/demo.py

test: setup
	$(BIN)/pytest -n $(JOBS)

# What takes minutes: large inputs, every corpus file on every path.
test-slow: setup
	$(BIN)/pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy nczip bench

# Levels 4 to 6 beside zpaq on one core, with targets; the machine should be idle.
bench: setup
	$(BIN)/python bench/bench.py $(BENCHFLAGS)

man: build/nczip.1

build/nczip.1: setup $(wildcard nczip/cli/*.py)
	mkdir -p build
	$(BIN)/python -m nczip.cli.man > $@

clean:
	rm -rf $(VENV) build dist
