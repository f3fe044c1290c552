# What a contributor runs before a commit: `make check test`. .ci/run runs the same `check`.
# PYTHON is the interpreter of an environment with `pip install -e '.[ecosystem]' ruff mypy cython-lint`.
PYTHON ?= .venv/bin/python
TESTS ?= tests
# cython-lint calls pycodestyle by name.
export PATH := $(dir $(abspath $(PYTHON))):$(PATH)

.PHONY: check build test test-python bench format setup

setup:
	python3 -m venv .venv
	.venv/bin/pip install -q -e '.[bench,docs,ecosystem,release]' ruff mypy cython-lint

build:  # after a change of a .pyx or .pxd
	$(PYTHON) setup.py -q build_ext --inplace

format:
	$(PYTHON) -m ruff check --fix -q .
	$(PYTHON) -m ruff format -q .

check:  # style, types, layers
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	cython-lint ext
	$(PYTHON) -m pytest tests/test_floors.py tests/test_repository.py tests/test_imports.py

test:  # with the compiled kernels where there are some; one file: make test TESTS=tests/wire/test_h1.py
	$(PYTHON) -m pytest $(TESTS)

test-python:
	HTTPX_FAST_IMPL=python $(PYTHON) -m pytest $(TESTS)

bench:
	$(PYTHON) -m pytest bench --benchmark-disable
	$(PYTHON) bench/compare.py --rounds 3
