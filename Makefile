# Every target works in a fresh clone: the first one that needs it makes the environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.built
NATIVE := CMakeLists.txt pyproject.toml $(wildcard nczip/native/*)

.PHONY: setup build demo test lint bench fuzz golden clean

setup: $(STAMP)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check "scikit-build-core>=0.11" "nanobind>=2.4" "cmake>=3.22" ninja

$(STAMP): $(VENV)/bin/python $(NATIVE)
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation -C editable.mode=redirect -C build-dir=build \
	  -C cmake.define.NCZIP_WERROR=ON -e ".[test,lint,plot]"
	touch $(STAMP)

build: setup

test: setup
	$(BIN)/pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist
