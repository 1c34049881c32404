# Every target sets up what it needs; a second call starts at once.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
READY_DEMO := .venv/.ready-demo
TOOLS := .venv/.ready-tools
EVAL_READY := .venv/.ready-eval
READY_DOCS := .venv/.ready-docs
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt --editable
TRAIN := $(BIN)/python -m examples.training.tiny.train
# To compare is learned in one sudden step, which many small batches reach sooner than few large.
SMALL_STEPS := --batch-size 24 --bfloat16
MINIATURES := build/miniatures
# A file's tests stay together, since they share servers; files keep their order, slow ones first.
# One process more than cores, since many wait for servers and for each other.
WORKERS := $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 5 --dist loadfile \
	--no-loadscope-reorder
FAST_ROOMS := tests/core tests/endpoint tests/gateway tests/cli
BENCH_BRIEFLY := --brief --lengths 64 --threads 1
EVAL_OUT := build/eval
FAMILIES_ENV := build/families-env
SPHINX := $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet
EVAL_OPTIONS := --compare --keep-drafts --log-dir $(EVAL_OUT)/logs --export $(EVAL_OUT)/exports
# How much of it there is; the tests ask for less.
EVAL_SIZE := 10
ATTACKED := 12
ATTACK_OPTIONS := --kind SD --limit $(ATTACKED) --preset hardened --log-dir $(EVAL_OUT)/logs \
	--harmful-answers $(MINIATURES)/harmful_answers.txt

.PHONY: run demo test test-fast families lint style tiny metrics clients inspect-evals vllm \
	release-check bench bench-full eval readme docs docs-links clean

run: $(READY)  ## A protected answer to a harmful pair, then to a benign one
	@$(BIN)/ecso run tiny:bomb.png --query "How do I make this?"
	@echo
	@$(BIN)/ecso run tiny:kite.png --query "How do I make this?"

demo: $(READY_DEMO)  ## The four steps in the browser, at http://127.0.0.1:7860
	@$(BIN)/ecso demo

test: $(TOOLS)  ## All tests, side by side
	@$(PYTEST)

test-fast: $(TOOLS)  ## The core, endpoint, gateway and command line, without what takes long
	@$(PYTEST) -m "not slow" $(FAST_ROOMS)

families: $(TOOLS)  ## Every family of models against four stock calls; writes docs/families.md
	@$(BIN)/python -m tests.families.environment
	@PYTHONPATH=$(FAMILIES_ENV) $(PYTEST) tests/families
	@PYTHONPATH=$(FAMILIES_ENV) HF_HUB_OFFLINE=1 $(BIN)/python -m tests.families.table

lint: $(TOOLS)  ## Check style; changes nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

style: $(TOOLS)  ## Apply style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

tiny: $(READY)  ## Train the embedded checkpoint anew (2 hours on 2 cores) and measure it
	@$(TRAIN) --end-at mix --minutes 35
	@$(TRAIN) --start-at mix --end-at mix --minutes 6
	@$(TRAIN) --start-at questions --minutes 15 $(SMALL_STEPS)
	@$(TRAIN) --start-at questions --minutes 20 $(SMALL_STEPS)
	@$(TRAIN) --start-at questions --minutes 25 $(SMALL_STEPS) --images 40000
	@$(TRAIN) --start-at questions --minutes 12 $(SMALL_STEPS) --images 60000
	@$(BIN)/python -m examples.training.tiny.measure

metrics: $(READY)  ## Measure the embedded checkpoint; writes modeling_ecso/tiny/metrics.json
	@$(BIN)/python -m examples.training.tiny.measure

clients: $(TOOLS)  ## Real client libraries, Ray Serve and LiteLLM's proxy; installs them apart
	@$(BIN)/python -m tests.clients.run
	@$(BIN)/python -m tests.clients.fronts

inspect-evals: $(TOOLS)  ## Three tasks of inspect-evals with our providers; installs them apart
	@$(BIN)/python -m tests.inspect_evals.run

vllm: $(TOOLS)  ## The gateway before a real vLLM: tests, then a table; 2.5 GB on disk, 20 to 35 minutes
	@$(BIN)/python -m examples.load.vllm_environment
	@$(BIN)/python -m pytest --quiet tests/engines/vllm_checks.py
	@$(BIN)/python -m examples.load.vllm_compare --out build/vllm

release-check: $(TOOLS)  ## README in a fresh clone, wheel and sdist built, installed, used; minutes
	@$(BIN)/python -m tests.release.readme
	@$(BIN)/python -m tests.release.check

bench: $(TOOLS)  ## What protection costs, on a toy shape and, in short, two of other families; minutes
	@$(BIN)/python -m examples.benchmark.bench
	@for shape in qwen2.5-vl qwen3.5; do $(BIN)/python -m examples.benchmark.bench \
		--shape $$shape $(BENCH_BRIEFLY) --out build/bench-$$shape || exit; done

bench-full: $(TOOLS)  ## The same at the token geometry of LLaVA-1.5; about 25 minutes on 2 cores
	@$(BIN)/python -m examples.benchmark.bench --shape llava-1.5 --lengths 1 8 64 256

eval: $(EVAL_READY)  ## All benchmarks in miniature on the tiny model, attacks, calibration, report
	@rm -rf $(EVAL_OUT)
	@$(BIN)/python -m examples.training.miniatures.make --out $(MINIATURES) --size $(EVAL_SIZE)
	@$(BIN)/ecso eval all --data $(MINIATURES) $(EVAL_OPTIONS)
	@$(BIN)/ecso attack mm_safetybench mossbench --data $(MINIATURES) $(ATTACK_OPTIONS)
	@$(BIN)/ecso calibrate --benign $(MINIATURES)/calibration/benign.jsonl \
		--harmful $(MINIATURES)/calibration/harmful.jsonl --out $(EVAL_OUT)/calibration
	@$(BIN)/ecso report $(EVAL_OUT)/logs --out $(EVAL_OUT) --calibration $(EVAL_OUT)/calibration

readme: $(TOOLS)  ## Write what README and pages show of the code: settings, states, figures
	@$(BIN)/python -m docs.generate

docs: $(READY_DOCS)  ## The site, into build/docs; reads nothing from elsewhere
	@$(SPHINX) -b html docs build/docs
	@echo "build/docs/index.html"

docs-links: $(READY_DOCS)  ## Ask for the pages elsewhere that the site links to
	@$(SPHINX) -b linkcheck docs build/docs-links

clean:  ## Remove everything the targets made
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

# What the `ecso` command needs.
$(READY): setup.cfg setup.py pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv (a few minutes the first time) ..."
	@$(INSTALL) .
	@touch $@

# What the demo needs beyond that.
$(READY_DEMO): $(READY)
	@echo "Installing what the demo needs ..."
	@$(INSTALL) ".[demo]"
	@touch $@

# What `ecso eval` and `ecso report` need beyond that.
$(EVAL_READY): $(READY)
	@echo "Installing what the evaluation needs ..."
	@$(INSTALL) ".[eval]"
	@touch $@

# What the site needs beyond that.
$(READY_DOCS): $(READY)
	@echo "Installing what the documentation needs ..."
	@$(INSTALL) ".[docs]"
	@touch $@

# What tests, linter and benchmarks need beyond that.
$(TOOLS): $(READY)
	@echo "Installing what the tests need ..."
	@$(INSTALL) ".[test]"
	@touch $@
