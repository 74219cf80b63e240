# Every target sets itself up: it makes a virtual environment and installs what it needs, once.
#   make test VENV=/some/folder     use another environment
#   make test PYTHON=python3.12     make it with another Python
#   make test ARGS="-k simulator"   hand arguments on (test, test-all, demo, bench)
# On Linux the default package index serves torch with its CUDA packages, some gigabytes. A CPU-only torch that is
# already in VENV, or that pip's own settings (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL) offer, is taken instead.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
BIN = $(VENV)/bin

.PHONY: help demo table results conformance notebooks test test-all lint package docs site bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    train the quantum classifier and its classical twins on real digits; report in runs/demo"
	@echo "make table   compare everything, and write the result pages and the README's count; an hour or two"
	@echo "make results  write the result pages again, from docs/results/records"
	@echo "make conformance  write what every layer is held to into docs/conformance.md"
	@echo "make notebooks  run the notebooks and keep their outputs; name some by ARGS=\"04 06\""
	@echo "make test    run the tests, without the long trainings"
	@echo "make test-all  run all tests, with every argument checked against its annotation"
	@echo "make package  build wheel and sdist, check and install the wheel in a clean folder"
	@echo "make lint    check style, types, imports, dependencies, spelling and documentation"
	@echo "make docs    build the documentation in build/docs"
	@echo "make site    build the documentation and look at every page in a browser (needs Chromium)"
	@echo "make bench   time the simulator beside the other libraries"
	@echo "make clean   remove the environment, caches and builds (not runs/)"

demo: $(VENV)/.installed-data
	$(BIN)/qml compare digits 4 --preset demo --out runs/demo $(ARGS)

# Every task beside its classical twins, a demo of each, and the page of it: an hour or two the first time.
table: $(VENV)/.installed-data,dev,ibm
	OMP_NUM_THREADS=1 $(BIN)/qml compare all --preset demo --out runs/all $(ARGS)
	$(BIN)/python -m tools.results runs/all

# Tables and figures of docs/results from the records there; name folders of `qml compare` in ARGS to make new records.
results: $(VENV)/.installed-data,dev,ibm
	$(BIN)/python -m tools.results $(ARGS)

# The table of layers and torch habits, from the list that the tests go through.
conformance: $(VENV)/.installed-data,dev,ibm
	$(BIN)/python -m tools.conformance_table

# Every notebook from its text, with outputs as small as they can be.
notebooks: $(VENV)/.installed-data,dev,ibm
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.notebooks $(ARGS)

# One thread in each of the two processes: more would wait for each other.
test: $(VENV)/.installed-data,dev,ibm
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow" $(ARGS)

# Every test, the long ones too, while jaxtyping and beartype check each argument of the package against its annotation,
# which doubles the time. The option is written exactly so: its longer form misreads two packages.
test-all: $(VENV)/.installed-data,dev,ibm
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --jaxtyping-packages=circuits,qml,beartype.beartype -m "not plain" \
		--hypothesis-profile=thorough $(ARGS)

lint: $(VENV)/.installed-data,dev,ibm $(VENV)/.installed-docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/deptry circuits qml
	$(BIN)/codespell
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Wheel and source distribution, built as for a release, and the wheel tried where nothing of this folder is seen.
package: $(VENV)/.installed-data,dev,ibm
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist $(ARGS)
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m tools.try_wheel dist

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open build/docs/index.html."

site: docs
	$(BIN)/python -m tools.check_site

bench: $(VENV)/.installed-peers
	$(BIN)/qml bench simulator $(ARGS)

# The stamp is touched last, so an interrupted install leaves none and the next call goes on where this one stopped.
$(VENV)/.installed-%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "qml-circuits needs Python 3.11 or newer, but $(PYTHON) is: $$($(PYTHON) --version 2>&1)."; \
		echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; } >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || { \
		echo "No virtual environment could be made (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "Installing qml-circuits[$*] into $(VENV): some minutes the first time."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch '$@'

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find circuits qml tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
