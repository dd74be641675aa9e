# Every target sets itself up in .venv; only Python 3.11 or newer, make and git are needed.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$name; break; }; done)
BIN := .venv/bin
READY := .venv/ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# BitMEX closed, and newer releases of ccxt dropped it; its recorded markets still work with this one.
HELD := ccxt==4.5.83

# Without compiled files each of a desk's processes would compile all modules anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test check lint bench chaos soak lock

run: $(READY)  ## start the desk; ARGS="…" goes to `missiondesk up`
	@exec $(BIN)/missiondesk up $(ARGS)

test: $(READY)  ## all tests but the long ones of chaos; ARGS="…" goes to pytest
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(READY)  ## format, style, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## everything

bench: $(READY)  ## print figures and write them to benchmarks/latest.json
	$(BIN)/python -m benchmarks $(ARGS)

N ?= 200
SEED ?= 1
chaos: $(READY)  ## N trade Tasks while everything they need is killed; SEED chooses what and when
	CHAOS_COUNT=$(N) CHAOS_SEED=$(SEED) $(BIN)/python -m pytest tests/faults --timeout 7200 $(ARGS)

soak: $(READY)  ## a year of recorded market data, hour by hour
	MISSIONDESK_SOAK=1 $(BIN)/python -m pytest tests/soak --timeout 7200 $(ARGS)

lock:  ## choose the newest versions that pyproject.toml allows and write them to requirements.lock
	rm -rf .tools/lock
	$(PYTHON) -m venv .tools/lock
	.tools/lock/bin/python -m pip install --quiet --editable '.[dev]' $(HELD)
	.tools/lock/bin/python -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==[^ ]+$$' > requirements.lock

$(READY): requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing what requirements.lock names into .venv (a minute or two)"
	$(PIP) install --requirement requirements.lock
	$(PIP) install --no-deps --editable .
	@touch $@

# Debian keeps a part of Python that this needs in a package of its own.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "expected Python 3.11 or newer, got: $$(python3 --version 2>&1)"; exit 1; }
	@$(PYTHON) -m venv .venv \
		|| { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq python3-venv \
			&& $(PYTHON) -m venv --clear .venv; } \
		|| { rm -rf .venv; echo "$(PYTHON) makes no virtual environments; on Debian: apt-get install python3-venv"; \
			exit 1; }
