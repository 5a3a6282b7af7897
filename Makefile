# make serve | test | lint | train | bench | bento | story
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 3000
HOST ?= 127.0.0.1
# What is installed is a list of links: files that come or go make it anew.
LINKED := $(shell find models data training service -type f ! -path '*/__pycache__/*' ! -path '*/derived/*' | LC_ALL=C sort | cksum | tr ' ' -)
READY := $(VENV)/.ready-serve-$(LINKED)
READY_DEV := $(VENV)/.ready-dev-$(LINKED)
SETUP := pyproject.toml constraints.txt setup.sh
export HF_HUB_DISABLE_TELEMETRY := 1
export BENTOML_DO_NOT_TRACK := true

.PHONY: serve test lint train bench bento story clean

serve: $(READY)
	$(BIN)/stanceframe serve --host $(HOST) --port $(PORT)

test: $(READY_DEV) lint
	$(BIN)/pytest -q

lint: $(READY_DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

train: $(READY)
	$(BIN)/stanceframe train --recipe student -o runs/student

bench: $(READY_DEV)
	$(BIN)/python bench/engines.py --sentences 1200
	$(BIN)/python bench/service.py

bento: $(READY_DEV)
	rm -rf wheels
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation -w wheels .
	$(BIN)/bentoml build

story: $(READY)
	$(BIN)/python tests/story.py

$(READY): $(SETUP)
	./setup.sh "$(PYTHON)" "$(VENV)" .
	rm -f $(VENV)/.ready-*
	touch $@

$(READY_DEV): $(SETUP)
	./setup.sh "$(PYTHON)" "$(VENV)" ".[dev]"
	rm -f $(VENV)/.ready-*
	touch $(READY) $@

clean:
	rm -rf $(VENV) build dist wheels *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
