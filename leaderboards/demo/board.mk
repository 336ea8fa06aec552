# The demo board: six methods and the base on the embedded base model and the invented corpus, at tier quick.
# Started by `make board`; every step is a file, so an interrupted board continues where it stopped. Settings are not
# watched: with another tier, number of rows or training give another BOARD and OUT.
#
# For each method: one run for each rate of the same grid at seed 0, chosen by the loss on the mix's validation part; then
# the same recipe with the chosen rate at the other seeds. Nothing else differs between rows.

BIN     ?= .venv/bin
CME     := $(BIN)/cme
BOARD   ?= board
OUT     ?= leaderboards/demo
METHODS ?= lora adalora moslora moelora hydralora teamlora
RATES   ?= 1e-3,2e-3,4e-3,8e-3
SEEDS   ?= 1 2
ROWS    ?= 4000
TIER    ?= quick
TRAIN   ?=
EVAL    ?=
# One thread each, and as many runs at a time as there are cores (make board JOBS=2): more than one run on all cores.
THREADS ?= 1
ALL     := 0 $(SEEDS)
ROUNDS  ?= 20
# Rows that are asked in other words as well (of a method: seed 0), and in which: how far the prompt moves the average.
REWORDED ?= base lora teamlora
WORDINGS ?= 1 2
# Rows to read the others by.
BASELINES  ?= majority unanswerable lead-1
REFERENCES := base base-4-shot $(BASELINES)

# The results of a row in other words; none of a row that is not asked so.
PARAPHRASES = $(if $(filter $(1),$(REWORDED)),$(WORDINGS:%=$(BOARD)/results/$(1)-wording-%))
SUBMIT_PARAPHRASES = $(foreach result,$(PARAPHRASES),--paraphrase $(result))

comma := ,
space := $(subst ,, )

# A field of a grid's record; fails while there is none.
FIELD = $(BIN)/python -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]] or sys.exit(1))'

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: board runs

# Costs are measured when nothing else runs; only the goal `runs` does several things at a time.
ifeq ($(filter-out board,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

board: $(OUT)/leaderboard.md

# Everything but the costs, which are measured alone afterwards.
runs: $(REFERENCES:%=$(BOARD)/results/%/result.json) \
	$(foreach method,$(METHODS),$(ALL:%=$(BOARD)/results/$(method)-%/result.json)) \
	$(foreach row,base $(METHODS),$(addsuffix /result.json,$(call PARAPHRASES,$(row))))

$(BOARD)/mix/manifest.json:
	@echo "== a training mix of $(ROWS) rows from the mini corpus"
	@$(CME) build-data --source mini --size $(ROWS) --out $(BOARD)/mix

$(BOARD)/results/base/result.json:
	@echo "== evaluating the base model"
	@$(CME) eval --source mini --tier $(TIER) --dtype auto --threads $(THREADS) --out $(BOARD)/results/base --name base $(EVAL)

$(BOARD)/results/base-4-shot/result.json:
	@echo "== evaluating the base model, shown four examples"
	@$(CME) eval --source mini --tier $(TIER) --shots 4 --dtype auto --threads $(THREADS) --out $(BOARD)/results/base-4-shot \
		--name base-4-shot $(EVAL)

$(BASELINES:%=$(BOARD)/results/%/result.json): $(BOARD)/results/%/result.json:
	@echo "== scoring $* (no model)"
	@$(CME) eval --baseline $* --source mini --tier $(TIER) --out $(BOARD)/results/$* > /dev/null

# Prices are ratios measured in turns, in one process: what else the machine does falls on all methods alike. AdaLoRA is
# measured at the rank that it starts with, 48, against LoRA of that rank.
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
	@echo "== evaluating the base model, wording $*"
	@$(CME) eval --source mini --tier $(TIER) --dtype auto --threads $(THREADS) --wording $* --name base-wording-$* \
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
	@touch $$@  # after the rate that its seeds wait for

$(SEEDS:%=$(BOARD)/runs/$(1)-%/run.json): $(BOARD)/runs/$(1)-%/run.json: $(BOARD)/grid/$(1)/rate
	@echo "== $(1): seed $$*, learning rate $$$$(cat $$<)"
	@$(CME) train --recipe leaderboards/recipes/demo-$(1).yaml --data $(BOARD)/mix --lr $$$$(cat $$<) --seed $$* \
		--threads $(THREADS) --out $(BOARD)/runs/$(1)-$$* $(TRAIN)

$(ALL:%=$(BOARD)/results/$(1)-%/result.json): $(BOARD)/results/$(1)-%/result.json: $(BOARD)/runs/$(1)-%/run.json
	@echo "== evaluating $(1), seed $$*"
	@$(CME) eval --adapter $(BOARD)/runs/$(1)-$$* --source mini --tier $(TIER) --dtype auto --threads $(THREADS) \
		--name $(1)-$$* --out $(BOARD)/results/$(1)-$$* $(EVAL)

$(WORDINGS:%=$(BOARD)/results/$(1)-wording-%/result.json): $(BOARD)/results/$(1)-wording-%/result.json: $(BOARD)/runs/$(1)-0/run.json
	@echo "== evaluating $(1), seed 0, wording $$*"
	@$(CME) eval --adapter $(BOARD)/runs/$(1)-0 --source mini --tier $(TIER) --dtype auto --threads $(THREADS) \
		--wording $$* --name $(1)-wording-$$* --out $(BOARD)/results/$(1)-wording-$$* $(EVAL)

$(OUT)/entries/$(1).json: $(call COSTS,$(1)) $(ALL:%=$(BOARD)/results/$(1)-%/result.json) \
		$(addsuffix /result.json,$(call PARAPHRASES,$(1)))
	@$(CME) submit --replace $(ALL:%=$(BOARD)/results/$(1)-%) $(ALL:%=--run $(BOARD)/runs/$(1)-%) --grid $(BOARD)/grid/$(1) \
		--bench $(call COSTS,$(1)) $(call SUBMIT_PARAPHRASES,$(1)) --name $(1) --entries $(OUT)/entries
endef

$(foreach method,$(METHODS),$(eval $(call rules_of_a_method,$(method))))

# What a command wrote whole stays, also when make is stopped while that command ends.
RESULTS := $(foreach row,$(REFERENCES) $(WORDINGS:%=base-wording-%),$(BOARD)/results/$(row)/result.json)
RESULTS += $(foreach method,$(METHODS),$(foreach run,$(ALL) $(WORDINGS:%=wording-%),$(BOARD)/results/$(method)-$(run)/result.json))
.PRECIOUS: $(BOARD)/mix/manifest.json $(RESULTS) $(foreach method,$(METHODS),$(ALL:%=$(BOARD)/runs/$(method)-%/run.json)) \
	$(call COSTS,lora) $(call COSTS,adalora)

# The table of the rows that are there: methods are added as they are done.
$(OUT)/leaderboard.md: $(REFERENCES:%=$(OUT)/entries/%.json) $(METHODS:%=$(OUT)/entries/%.json)
	@$(CME) leaderboard --verify --entries $(OUT)/entries --out $(OUT) > /dev/null
