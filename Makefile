# Every target works from a fresh clone: it makes its own virtual environment first.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install test lint type format golden bench study train clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[bench,study,train,dev]'
	touch $(READY)

install: $(READY) ## Make .venv with everything a developer needs

test: $(READY) ## Run the whole test suite
	$(BIN)/python -m pytest

lint: $(READY) ## Check style
	$(BIN)/ruff check .

type: $(READY) ## Check types
	$(BIN)/mypy

format: $(READY) ## Sort imports and mend what ruff can mend
	$(BIN)/ruff check --fix .

golden: $(READY) ## Write golden files for a NEW container or coder (never over existing ones)
	$(BIN)/python -m tests.golden.make_golden

bench: $(READY) ## Quality and speed on the bundled clips beside HEVC, VVC and AV1
	$(BIN)/python -m benchmarks.run --quick -o bench-out

study: $(READY) ## Rater study of nvcodec, HEVC and VVC on the bundled clips, on http://127.0.0.1:8000
	$(BIN)/python -m rater_study demo -o study-out

train: $(READY) ## Train the default model: make train DATA=folder
	$(BIN)/nvcodec train $(DATA) -o runs/s

clean: ## Remove the environment, caches and build products
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis bench-out study-out
