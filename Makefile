PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.ready

.PHONY: run setup test lint clean

run: setup            ## set everything up and serve the demo page on http://localhost:8080
	$(VENV)/bin/python server.py serve

setup: $(STAMP)       ## make the environment in .venv

$(STAMP): pyproject.toml scripts/setup.sh
	PYTHON=$(PYTHON) bash scripts/setup.sh $(VENV)
	touch $(STAMP)

test: setup           ## set up and run the tests
	bash scripts/system-packages.sh test
	$(VENV)/bin/python -m pytest

lint: setup
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy models realtime server.py && $(VENV)/bin/lint-imports

clean:
	rm -rf $(VENV) .cache
