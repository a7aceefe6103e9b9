# Every target does its own set-up in .venv; nothing is needed but Python 3.11 or later, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow test-r-dsl test-browser bench docs lint clean help

help:
	@echo "make demo       naive, gold-only and DSL estimates against the truth, on real data"
	@echo "make test       all tests but the slow ones (installs R from Debian packages where it is missing)"
	@echo "make test-slow  simulations with known answers (coverage of the intervals)"
	@echo "make test-r-dsl  the reference R package, run live (it must be installed)"
	@echo "make test-browser  the report in headless Chromium (it must be installed)"
	@echo "make coverage   which lines and branches the tests without R reach, with a floor"
	@echo "make package    build sdist and wheel in dist/, check, install and use them"
	@echo "make bench      speed, as ratios in one run"
	@echo "make docs       execute the vignettes and build the site"
	@echo "make lint       ruff, mypy, import contracts"

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; found $$($(PYTHON) --version). Use: make PYTHON=python3.12 ..."; exit 1; }
	@.ci/make_venv $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

demo: $(STAMP)
	$(BIN)/python -m dsl.cli.demo

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: $(STAMP)
	r_compat/install_r.sh $(VENV)
	$(BIN)/python -m pytest -m "not slow and not live_r_dsl and not browser"

test-r-dsl: $(STAMP)
	r_compat/install_r.sh $(VENV)
	$(BIN)/python -m pytest -m live_r_dsl tests/live_r

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow tests/simulation

test-browser: $(STAMP)
	$(BIN)/python -m pytest -m browser tests/browser

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	$(BIN)/python -m sphinx -W --keep-going -q -b html vignettes vignettes/_build
	@echo "Site: vignettes/_build/index.html"

bench: $(STAMP)
	$(BIN)/python -m benchmarks.bench
	$(BIN)/python -m benchmarks.ppi

.PHONY: coverage package
coverage: $(STAMP)
	$(BIN)/python -m pytest -n auto --cov --cov-report=term

package:
	.ci/package $(PYTHON)

clean:
	rm -rf $(VENV) build dist demo_output .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
