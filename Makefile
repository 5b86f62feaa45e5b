# Everything a new machine needs is Python 3.11 and make; see README.md.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Hashes only: what is installed is what was locked. Wheels only, but for two pure-Python
# packages that libp2p needs (sdists.txt): no compiler runs.
BUILD := $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps --no-build-isolation
SYNC := $(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --no-build
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --universal \
	--python-version 3.11 --custom-compile-command "make lock" --override requirements/overrides.txt
# More than cores: tests often wait for processes that start.
WORKERS ?= 3

.PHONY: run test test-system system check format lint types docs bench lock clean install parts

run: install parts ## a whole market on this machine: chain, node, traders, live table
	$(BIN)/fondaco demo

test: install parts ## the suite: real contracts on a real anvil
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m "not system and not soak"

system: install ## what make test-system needs from the system's package manager: iproute2
	@command -v ip >/dev/null || { \
		command -v apt-get >/dev/null || { \
			echo "make system: no program ip and no apt-get; install iproute2 by this system's own means"; \
			exit 1; }; \
		as_root=$$(test "$$(id -u)" = 0 || echo sudo); \
		$$as_root apt-get install -y --no-install-recommends iproute2 || { \
			$$as_root apt-get update && \
			$$as_root apt-get install -y --no-install-recommends iproute2; }; }

test-system: install parts ## tests that need a browser, bitcoind or network namespaces
	$(BIN)/python tests/run_system.py

check: install format lint types docs test ## everything a change must pass

format: install
	$(BIN)/ruff format --check src tests bench

lint: install
	$(BIN)/ruff check src tests bench

types: install
	$(BIN)/mypy

docs: install ## the generated pages are up to date
	$(BIN)/python -m fondaco docs --check

bench: install parts ## the figures of the design, each beside its floor
	$(BIN)/python -m bench

install: $(VENV)/.installed

$(BIN)/uv: requirements/bootstrap.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		--only-binary :all: -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.installed: $(BIN)/uv requirements/dev.txt requirements/sdists.txt pyproject.toml
	$(BUILD) -r requirements/sdists.txt
	$(SYNC) requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# npm from the system where there is one, else from PyPI's node wheel.
parts: install
	@command -v npm >/dev/null || test -x $(BIN)/npm || { \
		echo "no npm on this machine: installing the node wheel (200 MB, once)"; \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-build -r requirements/node.txt; }
	PATH="$$PATH:$(CURDIR)/$(BIN)" $(BIN)/fondaco fetch

lock: $(BIN)/uv ## compile the hashed requirement files anew
	$(COMPILE) pyproject.toml -o requirements/base.txt
	$(COMPILE) pyproject.toml --extra p2p --extra dev -o requirements/dev.txt
	$(COMPILE) requirements/sdists.in -o requirements/sdists.txt
	$(COMPILE) requirements/node.in -o requirements/node.txt
	$(COMPILE) --no-deps requirements/interop.in -o requirements/interop.txt
	$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
