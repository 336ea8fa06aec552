# The demo board: six methods and the base on the embedded base model and the mini corpus, at tier quick.
# `make board` builds it. Every step writes a file, so an interrupted board continues where it stopped. Changed settings are
# not detected: set another BOARD and OUT for another source, tier, number of rows or training.
#
# Each method is trained at seed 0 with every learning rate of one grid. The rate with the lowest validation loss is then used
# for the other seeds. Rows differ in nothing else.

BIN     ?= .venv/bin
CME     := $(BIN)/cme
BOARD   ?= board
OUT     ?= leaderboards/demo
METHODS ?= lora adalora moslora moelora hydralora teamlora
RATES   ?= 1e-3,2e-3,4e-3,8e-3
SEEDS   ?= 1 2
ROWS    ?= 4000
SOURCE  ?= mini:graded
TIER    ?= quick
TRAIN   ?=
EVAL    ?=
# One thread per run, and one run per core at a time (make board JOBS=2), is faster than one run on all cores.
THREADS ?= 1
ALL     := 0 $(SEEDS)
ROUNDS  ?= 20
# Methods are compared with the base on its own texts. For the change of the loss: make board RETENTION="--retention-text FILE".
RETENTION ?=
# Rows that are also evaluated with other prompt variants (methods with seed 0), and these prompt variants.
REWORDED ?= base lora teamlora
WORDINGS ?= 1 2
# Reference rows.
BASELINES  ?= majority unanswerable lead-1
REFERENCES := base base-4-shot $(BASELINES)

# Results of a row with other prompt variants, if it has any.
PARAPHRASES = $(if $(filter $(1),$(REWORDED)),$(WORDINGS:%=$(BOARD)/results/$(1)-wording-%))
SUBMIT_PARAPHRASES = $(foreach result,$(PARAPHRASES),--prompt-variants $(result))

comma := ,
space := $(subst ,, )

# Prints a field of a grid's record and fails if the field is empty.
FIELD = $(BIN)/python -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]] or sys.exit(1))'

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: board runs

# Costs are measured while nothing else runs. Only the goal `runs` runs several jobs at a time.
ifeq ($(filter-out board,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

board: $(OUT)/leaderboard.md

# Everything except the costs, which are measured afterwards.
runs: $(REFERENCES:%=$(BOARD)/results/%/result.json) \
	$(foreach method,$(METHODS),$(ALL:%=$(BOARD)/results/$(method)-%/result.json)) \
	$(foreach row,base $(METHODS),$(addsuffix /result.json,$(call PARAPHRASES,$(row))))

$(BOARD)/mix/manifest.json:
	@echo "== a training mix of $(ROWS) rows from the mini corpus"
	@$(CME) build-data --source $(SOURCE) --size $(ROWS) --out $(BOARD)/mix

$(BOARD)/results/base/result.json:
	@echo "== evaluating the base model"
	@$(CME) eval --source $(SOURCE) --tier $(TIER) --dtype auto --threads $(THREADS) --out $(BOARD)/results/base --name base $(EVAL)

$(BOARD)/results/base-4-shot/result.json:
	@echo "== evaluating the base model with four examples in the prompt"
	@$(CME) eval --source $(SOURCE) --tier $(TIER) --shots 4 --dtype auto --threads $(THREADS) --out $(BOARD)/results/base-4-shot \
		--name base-4-shot $(EVAL)

$(BASELINES:%=$(BOARD)/results/%/result.json): $(BOARD)/results/%/result.json:
	@echo "== scoring $* (no model)"
	@$(CME) eval --baseline $* --source $(SOURCE) --tier $(TIER) --out $(BOARD)/results/$* > /dev/null

# Cost ratios are measured in turns in one process, so that other load of the machine affects all methods alike. AdaLoRA is
# measured at its initial rank, 48, against LoRA of the same rank.
BENCH = $(CME) bench adapters --forms fused --rounds $(ROUNDS) --warmup 1 --batch 8 --train-length 80 --dtype bfloat16
MEASURED := $(sort lora $(filter-out adalora,$(METHODS)))
COSTS = $(BOARD)/costs/$(if $(filter adalora,$(1)),adalora,$(subst $(space),-,$(MEASURED)))/report.json

$(call COSTS,lora):
	@echo "== measuring what the methods cost"
	@$(BENCH) --methods base,$(subst $(space),$(comma),$(MEASURED)) --out $(@D)

$(call COSTS,adalora):
	@echo "== measuring what AdaLoRA costs"
	@$(BENCH) --methods lora,adalora --total-rank 48 --out $(@D)

$(WORDINGS:%=$(BOARD)/results/base-wording-%/result.json): $(BOARD)/results/base-wording-%/result.json:
	@echo "== evaluating the base model, prompt variant $*"
	@$(CME) eval --source $(SOURCE) --tier $(TIER) --dtype auto --threads $(THREADS) --prompt-variant $* --name base-wording-$* \
		--out $(BOARD)/results/base-wording-$* $(EVAL)

$(OUT)/entries/base.json: $(addsuffix /result.json,$(call PARAPHRASES,base))
$(REFERENCES:%=$(OUT)/entries/%.json): $(OUT)/entries/%.json: $(BOARD)/results/%/result.json
	@$(CME) submit --replace $(BOARD)/results/$* $(call SUBMIT_PARAPHRASES,$*) --entries $(OUT)/entries

define rules_of_a_method
$(BOARD)/grid/$(1)/rate: $(BOARD)/mix/manifest.json
	@echo "== $(1): learning rates $(RATES)"
	@$$(FIELD) $(BOARD)/grid/$(1)/lr-grid.json learning_rate >/dev/null 2>&1 || $(CME) train \
		--recipe leaderboards/recipes/demo-$(1).yaml --data $(BOARD)/mix --lr-grid $(RATES) --seed 0 \
		--threads $(THREADS) --out $(BOARD)/grid/$(1) $(TRAIN)
	@$$(FIELD) $(BOARD)/grid/$(1)/lr-grid.json learning_rate > $$@

$(BOARD)/runs/$(1)-0/run.json: $(BOARD)/grid/$(1)/rate
	@mkdir -p $(BOARD)/runs
	@ln -sfn ../grid/$(1)/$$$$($$(FIELD) $(BOARD)/grid/$(1)/lr-grid.json best) $(BOARD)/runs/$(1)-0
	@touch $$@  # newer than the rate, on which the other seeds depend

$(SEEDS:%=$(BOARD)/runs/$(1)-%/run.json): $(BOARD)/runs/$(1)-%/run.json: $(BOARD)/grid/$(1)/rate
	@echo "== $(1): seed $$*, learning rate $$$$(cat $$<)"
	@$(CME) train --recipe leaderboards/recipes/demo-$(1).yaml --data $(BOARD)/mix --lr $$$$(cat $$<) --seed $$* \
		--threads $(THREADS) --out $(BOARD)/runs/$(1)-$$* $(TRAIN)

$(ALL:%=$(BOARD)/results/$(1)-%/result.json): $(BOARD)/results/$(1)-%/result.json: $(BOARD)/runs/$(1)-%/run.json
	@echo "== evaluating $(1), seed $$*"
	@$(CME) eval --adapter $(BOARD)/runs/$(1)-$$* --source $(SOURCE) --tier $(TIER) --dtype auto --threads $(THREADS) \
		--retention $(RETENTION) --name $(1)-$$* --out $(BOARD)/results/$(1)-$$* $(EVAL)

$(WORDINGS:%=$(BOARD)/results/$(1)-wording-%/result.json): $(BOARD)/results/$(1)-wording-%/result.json: $(BOARD)/runs/$(1)-0/run.json
	@echo "== evaluating $(1), seed 0, prompt variant $$*"
	@$(CME) eval --adapter $(BOARD)/runs/$(1)-0 --source $(SOURCE) --tier $(TIER) --dtype auto --threads $(THREADS) \
		--prompt-variant $$* --name $(1)-wording-$$* --out $(BOARD)/results/$(1)-wording-$$* $(EVAL)

$(OUT)/entries/$(1).json: $(call COSTS,$(1)) $(ALL:%=$(BOARD)/results/$(1)-%/result.json) \
		$(addsuffix /result.json,$(call PARAPHRASES,$(1)))
	@$(CME) submit --replace $(ALL:%=$(BOARD)/results/$(1)-%) $(ALL:%=--run $(BOARD)/runs/$(1)-%) --grid $(BOARD)/grid/$(1) \
		--bench $(call COSTS,$(1)) $(call SUBMIT_PARAPHRASES,$(1)) --name $(1) --entries $(OUT)/entries
endef

$(foreach method,$(METHODS),$(eval $(call rules_of_a_method,$(method))))

# Complete files are kept, even if make is interrupted while a command ends.
RESULTS := $(foreach row,$(REFERENCES) $(WORDINGS:%=base-wording-%),$(BOARD)/results/$(row)/result.json)
RESULTS += $(foreach method,$(METHODS),$(foreach run,$(ALL) $(WORDINGS:%=wording-%),$(BOARD)/results/$(method)-$(run)/result.json))
.PRECIOUS: $(BOARD)/mix/manifest.json $(RESULTS) $(foreach method,$(METHODS),$(ALL:%=$(BOARD)/runs/$(method)-%/run.json)) \
	$(call COSTS,lora) $(call COSTS,adalora)

# The tables of all rows.
$(OUT)/leaderboard.md: $(REFERENCES:%=$(OUT)/entries/%.json) $(METHODS:%=$(OUT)/entries/%.json)
	@$(CME) leaderboard --verify --entries $(OUT)/entries --out $(OUT) > /dev/null
