# make test   the linter and the whole suite
# make demo   trains on handwritten digits and shows the table, in minutes
# Each is enough on a fresh clone: the first makes .venv, the next ones use it.
# Settings: PYTHON=python3.12 (to make .venv with), WORKERS=2 (for the tests),
# DEMO=runs/digits (where the demo writes).

VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin
WORKERS ?= auto
DEMO ?= runs/digits
MIN_PYTHON := 3.11

.PHONY: help test lint demo clean

help:
	@sed -n '1,5s/^# //p' Makefile

test: lint
	$(BIN)/python -m pytest -n $(WORKERS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

demo: $(READY)
	@$(BIN)/python -m pwl_jax.main --config=configs/digits.py \
	  --workdir=$(DEMO)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache

# An environment that was not finished has no READY and is made anew.
$(READY): requirements.txt requirements-dev.txt pyproject.toml
	@python=; for p in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    2>/dev/null; then python=$$p; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "pwl_jax needs Python $(MIN_PYTHON) or newer and found none on" \
	    "the PATH; install one, or name it: make PYTHON=/path/to/python3" >&2; \
	  exit 1; fi; \
	echo "Making $(VENV) with $$($$python --version); done once, minutes."; \
	$$python -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --requirement requirements-dev.txt --editable .
	@touch $(READY)
