# Everything installs into .venv; only Python (3.10 or newer), gcc and make are needed beforehand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
OTHER := .versions/torch-$(TORCH)

.DEFAULT_GOAL := help
.PHONY: help run test versions lint types docs bench zoo gate format clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  \1\t/' | expand -t 12

run: $(VENV)/run ## set up and show what resnet18 costs
	$(BIN)/modelstat resnet18 --input 1,3,224,224

test: $(VENV)/dev ## set up and run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

lint: $(VENV)/dev ## style: ruff's rules and its formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev ## mypy --strict
	$(BIN)/mypy

docs: $(VENV)/dev ## rewrite the generated parts of README and docs
	$(BIN)/python docs/generate.py

bench: $(VENV)/dev ## print the tables of speed and memory that the README claims
	$(BIN)/python -m benchmarks

zoo: $(VENV)/dev ## profile every model of the libraries, compare with torch, rewrite docs/zoo.md
	$(BIN)/python -m benchmarks.zoo

versions: ## run the tests with another torch: TORCH=2.9.1 [TORCHVISION=0.24.1] [TESTS=tests/capture]
	@test -n "$(TORCH)" || { echo "name a torch: make versions TORCH=2.9.1 [TORCHVISION=0.24.1] [TESTS=tests/capture]"; exit 2; }
	$(PYTHON) -m venv $(OTHER)
	sed -E '/^torch(vision)?==/d$(if $(filter newest,$(LIBRARIES)),;/^(timm|transformers|vit-pytorch)==/d)' constraints.txt > $(OTHER)/constraints.txt
	$(OTHER)/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
		--constraint $(OTHER)/constraints.txt torch==$(TORCH) torchvision$(if $(TORCHVISION),==$(TORCHVISION)) \
		--editable '.[dev]' timm transformers vit-pytorch
	$(OTHER)/bin/python -m pytest --numprocesses 2 --dist loadgroup $(TESTS)

gate: $(VENV)/run ## hold the sample models to their recorded cost
	$(BIN)/modelstat check

format: $(VENV)/dev ## rewrite the code in ruff's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what the other targets made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist .versions

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/run: pyproject.toml constraints.txt torchstat_cli/version.py | $(VENV)/bin/python
	$(PIP) torch
	$(PIP) --editable .
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt $(VENV)/run
	$(PIP) --editable '.[dev,report]' torchvision timm transformers vit-pytorch
	@touch $@
