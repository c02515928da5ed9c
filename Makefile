# Two commands: `make run` serves the page, `make test` passes the tests. Both set up what they need first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8080

.PHONY: help run setup test lint clean

help:           ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: setup      ## set everything up and serve the demo page on http://localhost:8080
	@bash .ci/packages espeak-ng
	$(BIN)/python server.py serve --port $(PORT)

setup: $(VENV)/.ready   ## make the environment in .venv

$(VENV)/.ready: pyproject.toml .ci/environment
	@bash .ci/environment "$(PYTHON)" $(VENV)
	@touch $@

test: setup     ## set up and run the tests, the browser's included
	@bash .ci/packages espeak-ng chromium
	$(BIN)/python -m pytest

lint: setup     ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy models realtime bench server.py
	$(BIN)/lint-imports

clean:          ## remove the environment and everything generated
	rm -rf $(VENV) .cache out build *.egg-info
