# The commands of the project. Each does all the set-up that it needs first; `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PREFIX ?= /usr/local
PYTHON := build/venv/bin/python
NPM := $(CURDIR)/build/deps/node/bin/npm
# What the client tests run.
BINARY ?= build/strata
PYTEST_ARGS ?= -q -n 2 --dist loadfile --timeout 300 -o cache_dir=$(CURDIR)/build/pytest
# Where Python tests may lie; folders that do not exist are left out.
PYTEST_PATHS = $(wildcard tests sdk/python/tests tools/tests bench/tests examples/*/tests)

# npm ci only when the lock has changed; the web interface is built only when a source has.
WEB_LOCK := $(wildcard web/package-lock.json)
WEB_SOURCES := $(if $(WEB_LOCK),$(shell find web -type f -not -path 'web/node_modules/*' \
  -not -path 'web/dist/*'))
SDK_SOURCES := $(if $(wildcard sdk/python/pyproject.toml),$(shell find sdk/python -type f \
  -not -path '*/__pycache__/*' -not -path '*/dist/*' -not -path '*/.*'))

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: ## everything that the other commands fetch, without building
	@tools/setup all

.PHONY: demo
demo: build ## the main job on real data; leaves the server running (ONCE=1: stops it)
	@tools/setup data
	@PATH="$(CURDIR)/build:$$PATH" $(PYTHON) examples/flights/run.py

.PHONY: test
test: unit-test client-test ## all tests

.PHONY: unit-test
unit-test: build
	@ninja -C build/release
	@ctest --test-dir build/release --output-on-failure --parallel 2

.PHONY: client-test
client-test: python-test $(if $(WEB_LOCK),browser-test)

.PHONY: python-test
python-test: build
	@tools/setup data
ifneq ($(PYTEST_PATHS),)
	@STRATA_BINARY=$(abspath $(BINARY)) PYTHONPATH=sdk/python/src $(PYTHON) -m pytest \
	  $(PYTEST_ARGS) $(PYTEST_PATHS)
endif

.PHONY: crash
crash: build ## 200 random kill -9 of the server under mixed load, four minutes on 2 cores (CRASH_KILLS=N)
	@CRASH_KILLS=$(or $(CRASH_KILLS),200) STRATA_BINARY=$(abspath $(BINARY)) $(PYTHON) -m pytest -q -s \
	  -o cache_dir=$(CURDIR)/build/pytest tests/crash/test_kill.py

# Freed blocks are kept apart for a while to catch their late users; 32 MiB of them are enough, and
# leave the tests that watch the server's memory something to see. A report of any process counts, of those
# too whose end no test sees. The browser asks for nothing that the clients do not, and the kills by
# the hundred are `make crash`'s. One test of alerts is left out: its drift alarm comes too late there.
.PHONY: sanitized
sanitized: build ## all tests but the browser's with AddressSanitizer and UndefinedBehaviorSanitizer
	@cmake --preset asan
	@ninja -C build/asan
	@rm -rf build/asan/reports && mkdir build/asan/reports
	@export ASAN_OPTIONS=quarantine_size_mb=32:log_path=$(CURDIR)/build/asan/reports/report; \
	  failed=; \
	  ctest --test-dir build/asan --output-on-failure --parallel 2 || failed=1; \
	  CRASH_KILLS=10 $(MAKE) python-test BINARY=build/asan/strata \
	    PYTEST_ARGS='$(PYTEST_ARGS) -k "not a_killed_server_tells"' PYTEST_PATHS="tests/server \
	    tests/clients tests/sdk tests/crash sdk/python/tests" || failed=1; \
	  if grep -r . build/asan/reports; then failed=1; fi; \
	  test -z "$$failed"

.PHONY: races
races: build ## the unit tests with ThreadSanitizer
	@cmake --preset tsan
	@ninja -C build/tsan
	@TSAN_OPTIONS=suppressions=$(CURDIR)/tools/tsan.supp \
	  ctest --test-dir build/tsan --output-on-failure --parallel 2

.PHONY: browser-test
browser-test: build
	@tools/setup browser
	@STRATA_BINARY=$(abspath $(BINARY)) $(NPM) --prefix web run --if-present test

.PHONY: build
build: build/release/build.ninja $(if $(SDK_SOURCES),build/dist/.built) ## build/strata and the wheel
	@ninja -C build/release strata
	@ln -sfn release/strata build/strata

.PHONY: lint
lint: unit-test-programs ## architecture, formatting, linters (TIDY=all: clang-tidy on every file)
	@tools/lint $(if $(TIDY),--tidy $(TIDY))

.PHONY: unit-test-programs
unit-test-programs: build
	@ninja -C build/release

.PHONY: fuzz
fuzz: setup-build ## fuzzes the parsers (FUZZ=xml: only that one; SECONDS=60: of each)
	@tools/fuzz $(if $(FUZZ),--target $(FUZZ)) $(if $(filter-out undefined,$(origin SECONDS)),--seconds $(SECONDS))

.PHONY: bench
bench: build ## the measurements beside named peers (BENCH=NAME: only that one)
	@$(PYTHON) bench/run.py

.PHONY: bench-releases
bench-releases: build/release/build.ninja ## bad releases stopped, and good ones left alone
	@ninja -C build/release strata_releases
	@build/release/strata_releases

.PHONY: bench-build
bench-build: build/release/build.ninja ## time of a cold build, and from a one-file edit to its green test
	@tools/bench-build

.PHONY: fmt
fmt: setup-build ## formats all sources
	@git ls-files -co --exclude-standard -z '*.cpp' '*.hpp' | xargs -0 -r clang-format-19 -i
	@git ls-files -co --exclude-standard -z '*.py' | xargs -0 -r build/venv/bin/ruff check -q --fix \
	  --cache-dir build/ruff --select E4,E7,E9,F

.PHONY: install
install: build ## installs below PREFIX (/usr/local), DESTDIR before it
	@install -D -m 755 build/release/strata $(DESTDIR)$(PREFIX)/bin/strata
	@install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/strata build/release/lib/strata/*
	@echo "installed $(DESTDIR)$(PREFIX)/bin/strata"

.PHONY: clean
clean: ## removes what was built; what was fetched stays
	@rm -rf build/dev build/asan build/tsan build/fuzz build/release build/strata build/dist build/ci web/dist

# ---- parts ----

.PHONY: setup-build
setup-build:
	@tools/setup apt deps venv

build/release/build.ninja: CMakePresets.json CMakeLists.txt cmake/ThirdParty.cmake third_party/LOCK \
    $(if $(WEB_LOCK),web/dist/index.html) | setup-build
	@cmake --preset release
	@touch $@

web/node_modules/.installed: $(WEB_LOCK) | setup-build
	@$(NPM) --prefix web ci --ignore-scripts --no-audit --no-fund
	@touch $@

web/dist/index.html: $(WEB_SOURCES) web/node_modules/.installed
	@$(NPM) --prefix web run build
	@touch $@

build/dist/.built: $(SDK_SOURCES) | setup-build
	@rm -rf build/dist
	@$(PYTHON) -m build --wheel --no-isolation --outdir build/dist sdk/python
	@touch $@
