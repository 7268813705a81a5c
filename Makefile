# `make help` lists the targets. Everything here is also `.venv/bin/camreasoner <verb> recipe=<name> key=value ...`.
RECIPE ?= camreasoner_7b
ARGS   ?=
PYTHON ?= python3.11
UV     := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
CLI     = UV=$(call QUOTED,UV) .venv/bin/python -m orchestrator

# What is typed arrives as it is: `$` and quotes too. KEYS are variables as key=value; of WORDS the
# command line makes words itself.
QUOTED  = $(if $(value $(1)),'$(subst ','\'',$(value $(1)))')
KEYS    = $(foreach name,$(1),$(if $(value $(name)),$(shell echo $(name) | tr A-Z a-z)=$(call QUOTED,$(name))))
WORDS   = $(if $(value $(1)),ARGS=$(call QUOTED,$(1)))
KNOWN  := RECIPE ARGS PYTHON UV STAGE RUN SWEEP SWEEP_VALUES SWEEP_KEY SEEDS CLIP QUESTION MODEL BENCH MAKEFLAGS SHELL EASYR1_HOME CUDA_VISIBLE_DEVICES HF_% %_API_KEY
UNKNOWN := $(filter-out $(KNOWN),$(foreach name,$(.VARIABLES),$(if $(filter command line,$(origin $(name))),$(name))))
$(if $(UNKNOWN),$(error $(UNKNOWN): no such variable; keys of the recipe go into ARGS="key=value ..."))

.DEFAULT_GOAL := help
.PHONY: help demo demo-banner predict serve test test-weekly setup data review model sft rl stage eval export report plan doctor status rehearse run ablate show diff repro publish clean-runs bench lint docs lock

help: ## list the targets
	@echo "usage: make <target> [RECIPE=$(RECIPE)] [ARGS=\"key=value ...\"]"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 13

demo: RECIPE = tiny
demo: demo-banner .venv/ready ## the whole pipeline on a tiny model, without a GPU: data, SFT, GRPO, eval, report
	@$(CLI) run recipe=$(call QUOTED,RECIPE) $(call WORDS,ARGS)

run setup data review model sft rl eval export report plan doctor status rehearse: .venv/ready
	@$(CLI) $@ recipe=$(call QUOTED,RECIPE) $(call WORDS,ARGS)

demo-banner:
	@echo "The whole pipeline on a tiny model, without a GPU: about 15 minutes on two cores."
	@echo "First the environments are installed; then data, SFT, GRPO, evaluation, report."

run: ## every stage of RECIPE, in order; finished ones are reused
setup: ## build the environments that RECIPE needs
data: ## clips, questions and frames
review: ## accept or reject trajectories on a local page
model: ## the base model: build the tiny one, or fetch it from the Hub
sft: ## supervised fine-tuning in LLaMA-Factory, to the last such stage
rl: ## GRPO in verl or EasyR1, to the last such stage
stage: .venv/ready ## one stage of training with what it needs first: STAGE=name
	@$(CLI) stage recipe=$(call QUOTED,RECIPE) stage=$(call QUOTED,STAGE) $(call WORDS,ARGS)
eval: ## evaluate checkpoints and other models on the benchmarks
export: ## write the benchmarks for lmms-eval and VLMEvalKit
report: ## write runs/RECIPE/report/
plan: ## print and write every file and command that would run
doctor: ## check recipe, machine and environments before anything starts
rehearse: ## RECIPE in small through all that it names, on two CPU cores [ARGS=rehearsal.device=cuda]
status: ## which stages are done, and why one is stale; ARGS="deep=true" checks every file

ablate: .venv/ready ## run SWEEP=format_weight|group_size|ema_beta|sft_epoch over RECIPE [SWEEP_VALUES=a,b SWEEP_KEY=key SEEDS=0,1]
	@$(CLI) ablate recipe=$(call QUOTED,RECIPE) $(call KEYS,SWEEP SWEEP_VALUES SWEEP_KEY SEEDS) $(call WORDS,ARGS)

show diff repro clean-runs: .venv/ready
	@$(CLI) $@ $(call KEYS,RUN) $(call WORDS,ARGS)

show: ## all runs in one table; RUN=name: stages, times, scores of one, and where things are
diff: ## RUN=one,other: what differs between two runs
repro: ## RUN=name: rebuild a run from its manifests, and compare every file
publish: .venv/ready ## show what would go to the Hub; ARGS="what=<policy>|data repo=me/name confirm=true" sends it
	@$(CLI) publish $(or $(call KEYS,RUN),run=$(call QUOTED,RECIPE)) $(call WORDS,ARGS)
clean-runs: ## what no run needs any more; ARGS="yes=true" removes it

predict: .venv/ready ## ask about CLIP=file|folder|URL [QUESTION="..." MODEL=run[/rl]|directory|Hub id|server ARGS="options=a,b"]
	@$(CLI) predict $(call KEYS,CLIP QUESTION MODEL) $(call WORDS,ARGS)
serve: .venv/ready ## ask a run's checkpoints about clips on a local page [MODEL=run|directory|Hub id|server]
	@$(CLI) serve $(call KEYS,MODEL) $(call WORDS,ARGS)

test: .venv/ready ## all tests, with a short end-to-end run through both real trainers
	@UV=$(call QUOTED,UV) tests/run
test-weekly: .venv/ready ## hours: many more examples, and runs that are killed, damaged and repeated
	@UV=$(call QUOTED,UV) tests/run-weekly
lint: .venv/ready ## format, lint, types, import contracts
	.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports
bench: .venv/ready ## the measured numbers; BENCH="demo" times the demo in a fresh clone
	@UV=$(call QUOTED,UV) .venv/bin/python -m bench $(BENCH)
docs: .venv/ready ## write docs/reference.md from the schema
	@.venv/bin/python -m docs.generator.reference
lock: $(UV) ## recompile the lock files in envs/
	PATH="$(dir $(UV)):$$PATH" envs/lock

.venv/ready: envs/orchestrator.txt pyproject.toml | $(UV)
	@echo "setting up .venv (once, under a minute) ..."
	@if [ ! -e .venv/ready ] && [ -e .venv/pyvenv.cfg ] && ! grep -q '^prompt = camreasoner' .venv/pyvenv.cfg; then echo ".venv was not built here: move it away, then run the same command again"; exit 1; fi
	@$(UV) venv -q --clear --prompt camreasoner --python 3.11 .venv
	@$(UV) pip sync -q --require-hashes --compile-bytecode --python .venv/bin/python envs/orchestrator.txt
	@$(UV) pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
	@touch $@
.tools/bin/uv:
	@echo "installing uv into .tools (once) ..."
	@$(PYTHON) -m venv .tools && .tools/bin/pip install -q --disable-pip-version-check --require-hashes -r envs/uv.txt
