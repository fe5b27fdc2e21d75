# The two commands of the README are `make demo` and `make test`; each makes .venv when it is missing or outdated.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test test-slow lint docs bench clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt hatch_build.py eden_core/kernels.c
	@echo "installing into .venv: some 1.5 GB, a minute or two (torch, lightning and what they need)"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/eden demo

test: install
	$(BIN)/python -m compileall -q eden_core plugins tests/jobs tests/ranks.py # hundreds of processes import them
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test-slow: install
	$(BIN)/python -m pytest -m slow --timeout 1800

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=plugins:docs/example-plugin $(BIN)/mypy docs/example-plugin/eden_text_files docs/example-plugin/tests

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "site/index.html"

bench: install
	$(BIN)/python benchmarks/bench.py --write docs/performance.md

clean:
	rm -rf .venv build dist site eden-demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
