# Every target makes .venv ready first; the second time that takes no time. `make PYTHON=python3.12 test` picks another.
.POSIX:
.PHONY: help demo play examples bench test test-clients coverage pythons conformance check format wheel lock clean

IN = .venv/bin/python -m
# A worker for every core, and at most eight: each collects all tests, and has its own Acme, OpenBao and share of ports.
ON_EVERY_CORE = --numprocesses auto --maxprocesses 8 --dist worksteal

help:
	@echo "make demo    a sandbox company, a gateway before it, and the lines that connect your agent"
	@echo "make play    let a scripted agent play the story over MCP (WHO=claude: a Claude model)"
	@echo "make test    format, lint, strict types, and every test"
	@echo "make check   the same without the tests"
	@echo "make format  put the code into the house format"
	@echo
	@echo "make wheel         build wheel, sdist and the list of their parts (CycloneDX) into dist/"
	@echo "make bench         measure a governed call beside an ungoverned one"
	@echo "make coverage      every test, and how much of the program they run; CI has a floor"
	@echo "make pythons       the wheel in an empty environment, on both ends of the supported Pythons"
	@echo "make conformance   play the published MCP conformance suite, and print the scores"
	@echo "make test-clients  let Claude Code, Codex and Gemini CLI play a story, each with a scripted model (downloads 900 MB)"
	@echo "make examples      install the frameworks that examples/agents use, into .venv-examples"
	@echo "make lock          write the hashed locks anew"
	@echo "make clean         remove everything that make made"

demo:
	@scripts/setup
	@.venv/bin/python .venv/bin/holdgate demo

play:
	@scripts/setup $(WHO:script=)
	@.venv/bin/python .venv/bin/holdgate demo --play $(WHO)

examples:
	@scripts/examples

check:
	@scripts/setup dev
	$(IN) ruff format --check .
	$(IN) ruff check .
	$(IN) mypy

test: check
	$(IN) pytest $(ON_EVERY_CORE)

test-clients:
	@scripts/setup dev
	HOLDGATE_TEST_AGENTS=1 $(IN) pytest tests/clients

coverage:
	@scripts/setup dev
	$(IN) coverage erase
	$(IN) coverage run -m pytest $(ON_EVERY_CORE)
	$(IN) coverage combine --quiet
	$(IN) coverage report --skip-covered

pythons:
	scripts/try-python 3.11
	scripts/try-python 3.13

conformance:
	@scripts/setup dev
	$(IN) tests.conformance.suite

format:
	@scripts/setup dev
	$(IN) ruff format .
	$(IN) ruff check --fix .

bench:
	@scripts/setup dev
	$(IN) bench

wheel:
	@scripts/setup dev
	.venv/bin/python scripts/build.py dist

lock:
	scripts/lock

clean:
	rm -rf .venv .venv-* .coverage* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find gateway vault connectors policies tests -name __pycache__ -type d -prune -exec rm -rf {} +
