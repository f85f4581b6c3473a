# make run    a venue to trade at, until ctrl-C; with ONCE=1 a simulated market of a million commands, recorded, read back and proved
# make test   lint, types, import contracts, all tests, against real servers where the machine lets us install them
# make soak | fuzz | bench | audit | clean
# Each sets up what it needs: .venv from the lock files, and the kernel compiled in place when domain/ has changed.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test soak fuzz bench audit kernel typescript lock clean

PACKAGES := domain eventstore commands projections replay adapters outcry benchmarks tests
BIN := .venv/bin
TYPESCRIPT := outcry/typescript
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
# A compiler counts only with the headers of this Python.
COMPILER := $(shell $(CC) -fsyntax-only -I"$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_paths()["include"])')" \
    -include Python.h -x c /dev/null 2>/dev/null && echo compiled)
KERNEL := .venv/kernel-$(shell cat requirements.lock domain/*.py | cksum | cut -d' ' -f1)-$(or $(COMPILER),interpreted)

help:
	@grep '^# ' Makefile | head -4

# The venue does not wait for the compiler; but what was compiled from other sources may not run.
STORE ?= $(or $(OUTCRY_STORE),venue)
ifdef ONCE
run: $(KERNEL)
	@$(BIN)/outcry demo --once
else
run: $(if $(wildcard domain/*.so),$(KERNEL),.venv/installed)
	@$(BIN)/outcry demo --store '$(STORE)'
endif

# What did not come in time on two cores that other tests shared is waited for once more, and shown; a wrong answer is never asked for again.
PATIENT := --reruns 1 --only-rerun '^(Late|TimeoutError|TimeoutExpired)\b' --rerun-show-tracebacks

# Servers of tests live for seconds: what Java would compile at leisure they never earn back.
test soak: export JAVA_TOOL_OPTIONS := $(JAVA_TOOL_OPTIONS) -XX:TieredStopAtLevel=1

test: $(KERNEL) typescript
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/lint-imports --no-cache
	@$(BIN)/outcry stack install --json >/dev/null || { echo "tests that need a server which is missing will be skipped" >&2; [ "$${CI:-}" != true ]; }
	$(BIN)/python -m pytest -n 2 -m "not soak" $(PATIENT)

soak: $(KERNEL)
	$(BIN)/python -m pytest -m soak --timeout=0 -s

fuzz: $(KERNEL)
	@echo "until something breaks, or ctrl-C"
	while $(BIN)/python -m pytest -x -q -m "hypothesis and not soak" --timeout=0 --hypothesis-profile=fuzz; do :; done; exit 1

bench: $(KERNEL)
	for what in kernel block store embedded replay folds; do $(BIN)/outcry bench $$what; done

# What the lock file names, against the published advisories: needs the network. Strict: what could not be asked about is a failure.
audit:
	@$(PYTHON) -m venv .venv/audit
	@.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.9.0
	.venv/audit/bin/pip-audit --strict --requirement requirements.lock --require-hashes --disable-pip

kernel: $(KERNEL)

# The TypeScript client, compiled, and its tests with it.
typescript: $(if $(shell command -v npm),$(TYPESCRIPT)/build/compiled)
	@command -v npm >/dev/null || { echo "the TypeScript client is not tested: there is no npm" >&2; [ "$${CI:-}" != true ]; }

$(TYPESCRIPT)/build/compiled: $(TYPESCRIPT)/node_modules/installed $(wildcard $(addprefix $(TYPESCRIPT)/,*.json src/*.ts test/*.ts examples/*.ts))
	@cd $(TYPESCRIPT) && rm -rf dist build && npm run --silent build && npm run --silent check && touch build/compiled

$(TYPESCRIPT)/node_modules/installed: $(TYPESCRIPT)/package-lock.json
	@echo "setting up $(TYPESCRIPT)"
	@cd $(TYPESCRIPT) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && touch node_modules/installed

LOCK := --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate
# New versions of what we stand on: needs uv. Hashes for every platform, no address of any index.
lock:
	uv pip compile --upgrade $(LOCK) --group dev pyproject.toml --output-file requirements.lock
	uv pip compile $(LOCK) --group build --constraint requirements.lock pyproject.toml --output-file requirements-run.lock

clean:
	rm -rf .venv build dist $(addprefix $(TYPESCRIPT)/,node_modules build dist) domain/*.so *__mypyc*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What a venue runs on comes first and alone: who wants to try one need not wait for the tools of those who work on it.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes --only-binary :all: --requirement
.venv/installed: requirements-run.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "outcry needs Python 3.11 or newer: none found; name one with make PYTHON=..." >&2; exit 1; }
	@echo "setting up .venv"
	@$(PYTHON) -m venv .venv
	@$(INSTALL) requirements-run.lock
	@HATCH_BUILD_NO_HOOKS=true $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --no-build-isolation --editable .
	@touch $@

.venv/tools: .venv/installed requirements.lock
	@$(INSTALL) requirements.lock
	@touch $@

# All of domain/ in one group, so that calls between its modules are native. -fno-semantic-interposition lets a shared library inline its own
# functions (30 % of the rate). gcc compiles twice: the second time it knows from a simulated market which way almost every command takes
# (another 40 %). INLINE: what counts as small, for a compiler that sees error handling in every function (one instruction in eight less).
# The name of the stamp holds a checksum of what was compiled.
MYPYC = rm -rf build domain/*.so *__mypyc*.so && PATH="$$PWD/$(BIN):$$PATH" CC="$(CC)" CFLAGS="-O2 -fno-semantic-interposition $(1)" \
    LDFLAGS="$(1)" $(BIN)/mypyc $(filter-out %/__init__.py,$(wildcard domain/*.py)) >.venv/kernel.log 2>&1 || { cat .venv/kernel.log >&2; exit 1; }
PROFILE := -fprofile-dir=$(CURDIR)/.venv/profile -fprofile-update=single
INLINE := --param max-inline-insns-auto=80 --param max-inline-insns-single=200 --param inline-min-speedup=5 \
    --param large-function-growth=300 --param inline-unit-growth=80
$(KERNEL): .venv/tools
	@rm -rf build domain/*.so *__mypyc*.so .venv/kernel-* .venv/profile
	@if [ -n "$(COMPILER)" ] && $(CC) --version | grep -q "Free Software"; then \
	    echo "compiling the kernel: a few minutes"; \
	    $(call MYPYC,$(PROFILE) -fprofile-generate $(INLINE)); \
	    $(BIN)/python -m benchmarks.training; \
	    $(call MYPYC,$(PROFILE) -fprofile-use -fprofile-partial-training -Wno-missing-profile $(INLINE)); \
	elif [ -n "$(COMPILER)" ]; then \
	    echo "compiling the kernel"; \
	    $(call MYPYC,); \
	elif [ "$${CI:-}" = true ]; then \
	    echo "no C compiler with Python's headers: CI demands a compiled kernel" >&2; exit 1; \
	else \
	    echo "no C compiler with Python's headers: the kernel runs interpreted, right but slow"; \
	fi
	@touch $@
