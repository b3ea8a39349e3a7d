# Everything runs in .venv, made from the hash-locked requirements. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := packaging/requirements
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run demo test lint format test-clients test-desktop test-desktop-slow test-crash test-fuzz test-hostile test-soak test-faults bench bench-peers bench-profile bench-choose bench-policy bench-start catalogue docs desktop-packages bench-packages package test-package lock icons clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: $(VENV)/run  ## set up and run: the tray with a display, headless without one, the demo without an account
	@packaging/run $(BIN)

demo: $(VENV)/run  ## a simulated provider, three accounts and a failover
	@$(BIN)/tidegate demo

test: lint desktop-packages  ## all checks
	$(BIN)/python -m pytest

lint: $(VENV)/test  ## style, types, architecture
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/test  ## put the code into its form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test-clients: $(VENV)/test  ## the real Claude Code and OpenCode (part of `test`)
	$(BIN)/python -m pytest tests/clients

test-desktop: $(VENV)/test desktop-packages  ## the tray on a real panel under Xvfb (part of `test`)
	$(BIN)/python -m pytest tests/desktop

test-desktop-slow: $(VENV)/test desktop-packages slow-desktop-packages  ## the same on GNOME Shell, KDE Plasma and waybar (minutes)
	$(BIN)/python -m pytest tests/desktop_slow -m desktop_slow

test-crash: $(VENV)/test desktop-packages  ## minutes of kills, full disks and damage (a short part is in `test`)
	$(BIN)/python -m pytest tests/crash -m crash

test-faults: $(VENV)/test  ## the whole fault matrix, random scripts, and every call failing once (minutes; FAULT_TABLE=write puts the figures into docs)
	$(BIN)/python -m pytest tests/faults -m "faults or not faults"

test-soak: $(VENV)/test  ## half an hour of traffic under faults (SOAK_MINUTES=10: shorter), 200 starts and stops
	$(BIN)/python -m pytest tests/soak -m soak

test-fuzz: $(VENV)/test  ## ten minutes of odd inputs for every reader of foreign bytes (a few are in `test`)
	$(BIN)/python -m pytest tests/fuzz -m fuzz

test-hostile: $(VENV)/test  ## 10,000 streams, slow readers, thousands of connections (the quick part is in `test`)
	$(BIN)/python -m pytest tests/hostile -m hostile

catalogue: $(VENV)/test  ## gather what Tidegate says for translators, and compile what they wrote
	$(BIN)/python -m tests.catalogue

docs: $(VENV)/test  ## write the pages that come from the code: settings, commands, figures
	$(BIN)/python -m tests.reference

bench: $(VENV)/test bench-packages  ## how fast Tidegate is, beside nginx and no proxy (minutes; BENCH=--docs puts it into the documentation)
	$(BIN)/python -m tests.bench.speed $(BENCH)

bench-peers: $(VENV)/test bench-packages  ## the same in short beside other proxies, which it installs into build/bench
	$(BIN)/python -m tests.bench.speed --peers $(BENCH)

bench-profile: $(VENV)/test bench-packages  ## what dominates a request, function by function (minutes)
	$(BIN)/python -m tests.bench.speed.profiling $(BENCH)

bench-policy: $(VENV)/test  ## every strategy on simulated accounts, against perfect foresight
	$(BIN)/python -m tests.bench.policy

bench-choose: $(VENV)/test  ## what choosing costs with 1,000 accounts and 10,000 sessions
	$(BIN)/python -m tests.bench.choose

bench-start: $(VENV)/test  ## how long `tidegate` takes to start, beside Python doing nothing
	$(BIN)/python -m tests.bench.start

package: build/venv/package  ## the bundle, the .deb and the archive, in dist/
	@packaging/package-tools
	build/venv/bin/python packaging/build.py

test-package: $(VENV)/test desktop-packages package  ## build the packages, install them on a clean system, use and remove them
	@packaging/package-tools --test
	$(BIN)/python -m pytest tests/package -m package

desktop-packages:  # what the desktop tests need from the distribution
	@packaging/desktop-packages

bench-packages:  # a C compiler and nginx
	@packaging/bench-packages

slow-desktop-packages:  # whole desktops: 1.5 GB
	@packaging/slow-desktop-packages

$(VENV)/run: $(LOCKS)/run.txt pyproject.toml
	@packaging/make-venv $(PYTHON) $(VENV) $<
	@touch $@

$(VENV)/test: $(LOCKS)/test.txt pyproject.toml
	@packaging/make-venv $(PYTHON) $(VENV) $<
	@touch $@ $(VENV)/run

build/venv/package: $(LOCKS)/package.txt pyproject.toml
	@packaging/make-venv $(PYTHON) build/venv $<
	@touch $@

icons: $(VENV)/test  ## draw the program's icons and the sheet of the tray icon's states
	$(BIN)/python -m icons.make

lock:  ## choose the newest versions and write the hash-locked requirements (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--extra build --extra test --output-file $(LOCKS)/test.txt pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--extra build --constraint $(LOCKS)/test.txt --output-file $(LOCKS)/run.txt pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--extra build --extra package --constraint $(LOCKS)/run.txt --output-file $(LOCKS)/package.txt pyproject.toml

clean:  ## remove everything that was made here
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
