# The commands of this project. Each one first installs what it needs into .venv, quickly if that is done already.
PYTHON ?= python3
ARGS ?=
INSTALL := $(PYTHON) -m launcher.install
# Commands whose output is their own would only be repeated by make.
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help run test test-slow check proto bench bench-peers format clean

help: ## print these lines
	@echo 'make COMMAND [ARGS="..."] [PYTHON=python3.12]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile

run: ## start the service and the facade; ARGS="--http-port 8081" sets, CUDA=1 also installs the CUDA libraries
	@$(INSTALL) $(if $(filter-out 0,$(CUDA)),--cuda)
	@exec .venv/bin/python -m launcher $(ARGS)

test: ## run the tests; ARGS="tests/facade -k sse" chooses
	@$(INSTALL) --dev
	@.venv/bin/python -m pytest -m 'not slow' $(ARGS)

# What it runs is long by design, so a test may take longer before it counts as hung.
test-slow: ## run the long tests: fuzzing, whole collections, distributions at full size
	@$(INSTALL) --dev
	@.venv/bin/python -m pytest -m slow -o timeout=1800 -o faulthandler_timeout=1860 $(ARGS)

check: ## lint, types, layers, contract, generated code
	@$(INSTALL) --dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/buf lint
	.venv/bin/python proto/generate.py --check

proto: ## generate the Python code of the contract
	@$(INSTALL) --dev
	.venv/bin/python proto/generate.py

bench: ## measure speed and memory; prints a table, writes JSON below bench/out
	@$(INSTALL) --dev
	@.venv/bin/python -m bench $(ARGS)

bench-peers: ## build what the benchmark compares with, in bench/peers; bench does it too
	@$(INSTALL) --dev
	@.venv/bin/python -m bench.peer_environment

format: ## rewrite the code in the project's format
	@$(INSTALL) --dev
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

clean: ## delete the virtual environment and what tools and benchmarks left here
	rm -rf .venv .venv.lock .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache bench/out bench/peers
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
