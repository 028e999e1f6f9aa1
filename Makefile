# The workshop: one word per need. `make demo` and `make test` need Python 3.11 or newer and git.
VENV ?= .venv
BIN := $(VENV)/bin
export VENV

.PHONY: demo test soak check bench format clean help

help:          ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo:          ## the main job on a fleet of 10,000, then a server to try things on
	@scripts/venv run
	@$(BIN)/fotapool demo

test:          ## the whole suite
	@scripts/venv dev
	@$(BIN)/python -m pytest

soak:          ## the heavy groups with larger counts
	@scripts/venv dev
	@FOTAPOOL_SOAK=1 $(BIN)/python -m pytest -m heavy

check:         ## style, types, shape
	@scripts/venv dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pyright
	@$(BIN)/python -m pytest -q tests/test_architecture.py

bench:         ## the ratios that docs/performance.md tells of
	@scripts/venv dev
	@$(BIN)/python -m bench.assign
	@$(BIN)/python -m bench.status
	@$(BIN)/python -m bench.ledger
	@$(BIN)/python -m bench.history
	@$(BIN)/python -m bench.shrink
	@$(BIN)/python -m bench.emulator

format:        ## style, mended
	@scripts/venv dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:         ## everything made here
	rm -rf .venv .venv-* dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
