# Needs python3 (3.11 or newer) and make; everything else is fetched as locked, into .venv and .peers.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
PY := .venv/bin/python
LOCK = .venv/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate -p 3.11
FUZZ ?= 20
# A file of tests per processor, on four of them at most; the first worker that hangs ends the run.
PARALLEL = -n logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder --max-worker-restart=0
PEERS = .peers/made .peers-deploy/made .peers-mcp/made .peers-a2a/made .peers-a2a-0.3/made

say = @printf '· %s\n' '$(1)'
# uv is fast; pip is asked where uv does not find the way to the packages (an index that only pip is told of).
install = @.venv/bin/uv pip install -q --python $(1) --compile-bytecode --no-deps $(2) 2>.venv/uv.log \
	|| { cat .venv/uv.log >&2; $(PY) -m pip --python $(1) install -qq --no-deps $(2); }

# All of the checkout but what was made in it, git or not.
MADE = .git .venv .compiled .peers .peers-* .node .bench node_modules dist __pycache__ .hypothesis .*_cache
COPY = tar -cf - $(MADE:%=--exclude='%') . | tar -xf - -C .compiled
COMPILER = $(shell command -v $${CC:-cc})

.PHONY: help demo test check compiled verify bench wheel image deploy status stop start destroy peers askpeers record lock docs fuzz soak examples try coverage format clean

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' Makefile | awk -F '\t' '{ printf "make %-10s %s\n", $$1, $$2 }'

demo: .venv/made ## chat in a browser with embedded agents, no account needed
	@exec .venv/bin/sidecar demo $(ARGS)

test: .venv/dev $(if $(CI),$(PEERS) verify,askpeers) ## everything; with CI=1 also what check verifies; T=<path> for a part
	@$(PY) -m pytest $(or $(T),$(PARALLEL))

check: verify test ## format, lint, types, import laws, generated pages; then the tests

compiled: .compiled/made askpeers ## the tests once more, over the modules that are compiled; T=<path> for a part
	@$(COPY)
	@for each in .node $(PEERS:/made=); do [ ! -e $$each ] || ln -sfn ../$$each .compiled/$$each; done
	@cd .compiled && .venv/bin/python -m pytest -m 'not examples and not source' $(PARALLEL) $(T)

verify: .venv/dev
	$(call say,format)
	@.venv/bin/ruff format --check --quiet . || { echo 'Not formatted: make format'; exit 1; }
	$(call say,lint)
	@.venv/bin/ruff check --quiet .
	$(call say,types)
	@.venv/bin/mypy --no-error-summary && .venv/bin/mypy --no-error-summary examples/redact/sidecar_redact.py
	$(call say,import laws)
	@.venv/bin/lint-imports --no-logo
	$(call say,generated pages)
	@$(PY) docs/generate.py --check

format: .venv/dev ## put the source into its one format
	@.venv/bin/ruff format --quiet . && .venv/bin/ruff check --quiet --fix .

docs: .venv/dev ## write the pages that are made from the code again
	@$(PY) docs/generate.py

bench: .venv/dev $(if $(COMPILER),.compiled/made) ## the table of docs/performance.md, on this machine; ARGS=--front: the second one
	@$(PY) -m bench $(ARGS)

fuzz: .venv/dev ## the property tests alone, with FUZZ=20 times the examples
	@FUZZ=$(FUZZ) $(PY) -m pytest -p tests.fuzz -m hypothesis -o faulthandler_timeout=0 $(T)

soak: .venv/dev ## 50,000 calls of 200 users at once, then ten minutes on the wire; ARGS="--calls 0 --minutes 1"
	@PYTHONPATH=.:tests $(PY) -m soak $(ARGS) >/dev/null

examples: .venv/dev ## every example, straight at an agent and beside the sidecar, in environments of their own
	@$(PY) -m pytest -m examples tests/examples

try: .venv/made ## one example in a browser: make try EXAMPLE=streamlit [ARGS=--straight]; without a name it lists them
	@$(PY) examples/trial.py $(or $(EXAMPLE),--help) $(ARGS)

coverage: .venv/dev $(PEERS) ## the tests, with what they leave out
	@$(PY) -m pytest $(or $(T),tests) --cov --cov-report=term-missing:skip-covered

wheel: .venv/dev $(if $(COMPILED),.compiled/made) ## dist/*.whl and dist/*.tar.gz; COMPILED=1: for this system and Python, and faster
	@rm -rf dist && $(PY) -m hatchling build >/dev/null 2>&1 || $(PY) -m hatchling build
	@$(if $(COMPILED),rm dist/*.whl && cp .compiled/dist/*.whl dist)
	@ls dist/*

image: ## builds the Dockerfile without a container engine, and starts it (Debian, root)
	@.ci/image

deploy: wheel ## to Databricks Apps: make deploy AGENT=<agent app> [SOURCE=<folder with app.yaml>] [NAME=] [PROFILE=]
status: ## how the deployed app is: its state, address, principal and resource; [NAME=] [PROFILE=]
stop: ## stops the deployed app, which keeps its address and its principal
start: ## starts it again
destroy: ## deletes it and its principal, for good: make destroy CONFIRM=<its name>

deploy status stop start destroy:
	@$(if $(wildcard $(PY)),$(PY),$(PYTHON)) deploy/databricks/app.py $@

lock: .venv/dev ## pins again from pyproject.toml; UP=--upgrade moves them
	@$(LOCK) $(UP) pyproject.toml -o requirements.lock
	@$(LOCK) $(UP) --group build -c requirements.lock -o requirements-build.lock
	@$(LOCK) $(UP) --group dev -c requirements.lock -c requirements-build.lock pyproject.toml -o requirements-dev.lock
	@$(LOCK) $(UP) tests/peers/peers.in -o tests/peers/peers.lock
	@for each in apx deploy mcp a2a a2a-0.3; do $(LOCK) $(UP) tests/peers/$$each.in -o tests/peers/$$each.lock; done

peers: $(PEERS) ## the environments of the real peers that the tests talk to

askpeers: .venv/bin/uv
	@$(MAKE) -s $(PEERS) || echo '· without .peers: tests that talk to real peers will be skipped'

record: .venv/dev .peers/made .peers-apx/made ## records anew what the real peers answer, into tests/peers/recorded*
	@PYTHONPATH=tests $(PY) -m peers.record && PYTHONPATH=tests $(PY) -m peers.record_apx

clean: ## take away all that make made
	rm -rf examples/*/.venv examples/*/node_modules examples/*/dist
	rm -rf .venv .compiled .peers .peers-* .bench .node dist test-output .hypothesis .coverage .coverage.* .mypy_cache .ruff_cache \
		.pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments. Each is a file that says when it was made; a changed lock makes it again.

.venv/bin/uv: requirements-build.lock
	@command -v $(PYTHON) >/dev/null || { echo 'Needs Python 3.11 or newer, and there is no $(PYTHON) here.' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Needs Python 3.11 or newer: $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'Needs the venv module of $(PYTHON): on Debian and Ubuntu, apt-get install python3-venv' >&2; exit 1; }
	$(call say,making .venv (once; less than a minute))
	@$(PY) -c '' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements-build.lock
	@touch $@

.venv/made: .venv/bin/uv requirements.lock pyproject.toml bin/sidecar
	$(call say,installing what the sidecar needs)
	$(call install,$(PY),--require-hashes -r requirements.lock)
	$(call install,$(PY),--no-build-isolation --force-reinstall -e .)
	@touch $@

.venv/dev: .venv/made requirements-dev.lock
	$(call say,installing what the tests need)
	$(call install,$(PY),--require-hashes -r requirements-dev.lock)
	@touch $@

# A copy of the checkout with its hot modules compiled: the source itself is never shadowed by what was made of it.
.compiled/made: .venv/dev pyproject.toml bin/sidecar $(shell find sidecar middleware policies -name '*.py' 2>/dev/null)
	$(call say,compiling into .compiled (after each change of the source; two minutes))
	@[ -n '$(COMPILER)' ] || { echo 'Needs a C compiler: on Debian and Ubuntu, apt-get install gcc libc6-dev' >&2; exit 1; }
	@rm -rf .compiled && mkdir .compiled && $(COPY)
	@cd .compiled && { HATCH_BUILD_HOOK_ENABLE_MYPYC=1 ../$(PY) -m hatchling build -t wheel >build.log 2>&1 \
		|| { tail -n 40 build.log >&2; exit 1; }; }
	@$(MAKE) -s -C .compiled .venv/dev
	@cd .compiled && .venv/bin/python -m compileall -q sidecar middleware policies  # as an installer does
	@touch $@

.peers/made: .venv/bin/uv tests/peers/peers.lock
	$(call say,making .peers with the real peers (once; about 700 MB))
	@.peers/bin/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear --without-pip .peers
	$(call install,.peers/bin/python,--require-hashes -r tests/peers/peers.lock)
	@touch $@

.peers-%/made: .venv/bin/uv tests/peers/%.lock
	$(call say,making .peers-$* with the real servers and clients of tests/peers/$*.in (once; about 60 MB))
	@.peers-$*/bin/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear --without-pip .peers-$*
	$(call install,.peers-$*/bin/python,--require-hashes -r tests/peers/$*.lock)
	@touch $@
