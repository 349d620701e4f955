# make run    set up, then the main job: results/e4 on the embedded dataset
# make smoke  set up, then every behaviour of a long study in two to three minutes
# make site   set up, then the whole study and its pages: open results/site/index.html
# make check  set up, then lint, types and the unit tests without the slow ones
# make test   set up, then every check and test
# make proofs set up, then the tests that take minutes each: kills at random moments, whole trainings
# make cluster-test  set up, then faults of a cluster on a real Slurm of two nodes on this machine (root)
# make rehearsal TASK=matbench_jdft2d TARGETS=jdft2d.csv  set up, then an official task at its full size on stand-in
#             crystals; TARGETS: CSV with mbid, composition and target; without it: the official download
# make bench  set up, then the engine against stock CHGNet: at most six minutes on two cores

# Hundreds of jobs and tests start Python: let it keep what it has compiled.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
CORES ?= $(shell nproc)
TORCH := $(shell grep '^torch==' requirements.lock)
BIN := $(CURDIR)/.venv/bin
# Without a GPU the cap on trainings does not apply: one training per core is fastest.
PROFILE ?= $(if $(shell command -v nvidia-smi),profiles/default,profiles/cpu)
SNAKEMAKE := PATH="$(BIN):$$PATH" snakemake --cores $(CORES) --workflow-profile $(PROFILE)

BENCH_DATASET ?= data/demo.json.gz
BENCH_TARGET ?= $(if $(filter data/demo.json.gz,$(BENCH_DATASET)),e_form)
BENCH_DEVICE ?= $(if $(shell command -v nvidia-smi),cuda,cpu)
BENCH_LARGE := $(if $(filter data/demo.json.gz,$(BENCH_DATASET)),256,512)
BENCH_BATCHES ?= $(if $(filter cuda,$(BENCH_DEVICE)),64 $(BENCH_LARGE),32)
BENCH_STRUCTURES ?= $(if $(filter cuda,$(BENCH_DEVICE)),3589,192)

# A test file stays in one process; one more than cores, since some wait for a queue or a browser.
# Each may take 5 GB, which limits their number.
PARALLEL := -n $(shell expr $$(nproc) + 1) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: setup run smoke study report site check test proofs cluster-test rehearsal lint style types floors \
	rules-style rules-lint lint-site bench clean

setup: .venv/.complete

# Modules are compiled when they are first imported: most of the 23,000 never are.
INSTALL := $(if $(shell command -v uv),uv pip install --quiet --python .venv/bin/python,"$(BIN)/python" -m pip \
	install --quiet --disable-pip-version-check --no-compile)

.venv/.complete: requirements.lock
	$(PYTHON) -m venv .venv
	$(INSTALL) $(TORCH)
	$(INSTALL) --no-deps -r requirements.lock
	touch $@

run: setup
	$(SNAKEMAKE) results/e4/results.json

study: setup
	$(SNAKEMAKE)

smoke: setup
	PATH="$(BIN):$$PATH" "$(BIN)/python" scripts/smoke.py --cores $(CORES)

report: study
	$(SNAKEMAKE) --report results/report.html

site: setup
	$(SNAKEMAKE) results/site/index.html

# The five side by side: mypy alone takes as long as the others together.
lint: setup
	$(MAKE) --no-print-directory -j$(CORES) style types floors rules-style rules-lint

style:
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .

types:
	"$(BIN)/mypy" scripts/foldwise scripts/maintenance

floors:
	PYTHONPATH=scripts "$(BIN)/lint-imports" --no-logo

rules-style:
	"$(BIN)/snakefmt" --check Snakefile rules

rules-lint:
	PATH="$(BIN):$$PATH" snakemake --lint

check: lint
	PATH="$(BIN):$$PATH" "$(BIN)/python" -m pytest -n $(CORES) --dist loadfile -m "not slow and not proof" tests/unit

# Needs Node.js, so it is no part of lint.
lint-site:
	cd reports/site && npx --yes --package typescript@5.9.3 tsc --project jsconfig.json
	cd reports/site && npx --yes --package eslint@9.39.1 eslint scripts

test: lint
	PATH="$(BIN):$$PATH" "$(BIN)/python" -m pytest $(PARALLEL) -m "not proof"

proofs: setup
	PATH="$(BIN):$$PATH" "$(BIN)/python" -m pytest -m proof

cluster-test: setup
	PATH="$(BIN):$$PATH" "$(BIN)/python" scripts/maintenance/cluster_test.py

TASK ?= matbench_jdft2d
rehearsal: setup
	PATH="$(BIN):$$PATH" "$(BIN)/python" scripts/maintenance/make_rehearsal.py --task $(TASK) --cores $(CORES) \
		$(if $(TARGETS),--targets "$(TARGETS)")

bench: setup
	"$(BIN)/python" scripts/maintenance/bench_engine.py --dataset $(BENCH_DATASET) \
		$(if $(BENCH_TARGET),--target $(BENCH_TARGET)) --device $(BENCH_DEVICE) \
		--batch-sizes $(BENCH_BATCHES) --structures $(BENCH_STRUCTURES) --threads $(CORES) \
		--out results/bench/$(BENCH_DEVICE).json

clean:
	rm -rf results .snakemake
