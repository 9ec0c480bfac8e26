# Two commands do everything, set-up included: `make study` and `make test`.
STUDY ?=
DEVICE ?=
PROFILE ?= default
PYTHON ?= python3
BIN = .venv/bin
# Two files of tests at a time; in a file one after another, since tests share what takes long to make. One thread each:
# with as many as there are cores, the two would wait for each other.
TESTS = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: study matches companions plan status power verify bench style check test networks slurm-test debian docs lint clean

study: .venv/.ready       ## run or resume a study: make study STUDY=smoke
	@$(BIN)/python -m rosetta_scaling run $(STUDY) --profile $(PROFILE)

matches: .venv/.ready     ## the matched pairs alone, without nulls: make matches STUDY=smoke
	@$(BIN)/python -m rosetta_scaling run "$(STUDY)" --profile $(PROFILE) matches

companions: .venv/.ready  ## the companion studies alone, with a page each
	@$(BIN)/python -m rosetta_scaling run "$(STUDY)" --profile $(PROFILE) companions

plan: .venv/.ready        ## print what a study takes, before it runs: make plan STUDY=smoke
	@$(BIN)/python -m rosetta_scaling run "$(STUDY)" --profile $(PROFILE) plan
	@$(BIN)/python -m rosetta_scaling run "$(STUDY)" --profile $(PROFILE) --dry-run --quiet rules

status: .venv/.ready      ## what is done, runs, failed and waits: make status STUDY=smoke [EVERY=10]
	@$(BIN)/python -m rosetta_scaling status "$(STUDY)" --profile $(PROFILE) $(if $(EVERY),--every $(EVERY))

power: .venv/.ready      ## how often each main claim gets each verdict where the truth is known: make power STUDY=smoke
	@$(BIN)/python -m rosetta_scaling power $(STUDY)

verify: .venv/.ready     ## derive every verdict again from the tables, and say what differs: make verify STUDY=smoke
	@$(BIN)/python -m rosetta_scaling verify $(STUDY)

bench: .venv/.ready       ## measure the matching engine: results/bench/; make bench DEVICE=cuda: on a GPU
	@$(BIN)/python workflow/benchmarks/bench.py $(if $(DEVICE),--device $(DEVICE))

style: .venv/.ready       ## check format, floors between rooms, and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile workflow/rules
	$(BIN)/lint-imports
	$(BIN)/mypy

check: style              ## check style and run the quick tests, those of single rooms: minutes
	$(TESTS) -m "not slow and not study"

test: style debian        ## check style and run every test
	$(TESTS)

networks: .venv/.ready    ## print which types of text networks are read, and why others are refused
	$(BIN)/python -m pytest tests/networks/test_architectures.py --capture=no

slurm-test: .venv/.ready debian  ## run a small study on a real SLURM of one node
	$(BIN)/python -m pytest tests/studies/test_slurm.py

# Debian's packages, when they are missing and root may install them; else the tests of SLURM and of pages in a browser
# say why they are skipped.
debian:
	@{ command -v slurmctld && command -v chromium || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -qq -y --no-install-recommends slurmctld slurmd slurm-client munge chromium; }; } >/dev/null \
	  || echo "SLURM and Chromium could not be installed"

docs: .venv/.ready       ## the pages of docs/ as a site in results/docs, offline
	$(BIN)/mkdocs build --quiet

lint: .venv/.ready
	$(BIN)/snakemake --lint

# One pip command with exact versions: a second one could silently downgrade Snakemake.
.venv/.ready: pyproject.toml envs/constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint envs/constraints.txt --editable '.[dev,slurm]'
	$(BIN)/pip check
	touch $@

clean:                    ## remove the environment; results and cache stay
	rm -rf .venv
