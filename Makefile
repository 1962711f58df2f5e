# A newcomer's two commands: `make demo` and `make test`. Each makes its own environment in .venv.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-peers check docs clean

demo: .venv/.installed
	$(BIN)/unrolled caption examples/photos

test: .venv/.installed-test
	$(BIN)/python -m pytest

test-peers: .venv/.installed-peers
	$(BIN)/python -m pytest -m peers

check: .venv/.installed-dev
	PATH="$(abspath $(BIN)):$$PATH" scripts/check

docs: .venv/.installed-docs
	PATH="$(abspath $(BIN)):$$PATH" scripts/build_docs

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "error: Unrolled needs Python 3.10 or later; name one with make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { echo "error: $(PYTHON) has no venv module; on Debian: apt-get install python3-venv" >&2; rm -rf .venv; exit 1; }

# pip is asked again only when what the project needs has changed.
.venv/.installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# The package is there by now, compiled once: only what its extras name is added.
.venv/.installed-%: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'unrolled[test,$*]'
	@touch $@
