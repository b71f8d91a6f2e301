# Every target sets up what it needs by itself; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo dev call test test-long agents-test chaos chaos-short test-containers bench lint format docs up down lock clean

# Flags for pytest, as in: make test PYTEST_ARGS="-k playout -x"
PYTEST_ARGS ?=
# Tests run side by side: most of the time they wait for real time to pass.
TEST_JOBS ?= 3
# Flags for the script of one call, as in: make call CALL_ARGS="--script my-call.yaml"
CALL_ARGS ?=
# What `make bench` measures: overhead, barge-in, chaos, moments, scale or all; and its flags, such as "overhead --seed 2"
BENCH ?= all
# Which faults `make chaos` does, and to how many live calls, as in: make chaos CHAOS="worker-killed --calls 20"
CHAOS ?=
# How many workers `make dev` and `make up` start; when it is not given, as many as .env says, or one.
WORKERS ?=

BIN := .venv/bin
COMPOSE := docker compose

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with all packages; nothing happens when that is done (PYTHON=… picks the Python)
	@scripts/setup.sh

demo: setup ## one whole call on this machine: no key, no Docker, no network; leaves out/demo/<call_id>/
	@$(BIN)/devstack demo

dev: setup ## everything in the foreground on ports 8000 and 8765 until Ctrl-C (WORKERS=2 for two workers)
	@$(BIN)/devstack dev $(if $(WORKERS),--workers $(WORKERS))

call: setup ## one simulated call against what `make dev` or `make up` runs (CALL_ARGS=…)
	@$(BIN)/devstack call $(CALL_ARGS)

test: setup ## every test that needs neither Docker nor a browser, nor minutes (PYTEST_ARGS=…)
	@$(BIN)/pytest --ignore=tests/containers -m "not faults and not long" -n $(TEST_JOBS) --dist worksteal $(PYTEST_ARGS)

test-long: setup ## the console in a real browser (skips, saying so, without chromium), and whole calls (PYTEST_ARGS=…)
	@$(BIN)/pytest --ignore=tests/containers -m long -n 2 --dist worksteal $(PYTEST_ARGS)

agents-test: setup ## calls every bot of agents/ by the scripts in agents/tests, and checks what it says and does
	@$(BIN)/ringover-voicebot test-agents

chaos: setup ## kills, freezes and starves a running system with 20 live calls, and shows what held (CHAOS=… for one fault)
	@PYTHONPATH=tests $(BIN)/python -m faults $(CHAOS)

chaos-short: setup ## the same with a few calls, and attacks on the ports, as .ci/run does (PYTEST_ARGS=…)
	@$(BIN)/pytest tests/faults_short tests/attack -m faults $(PYTEST_ARGS)

test-containers: setup ## builds the images and places a call through docker compose; skips, saying so, without an engine
	@$(BIN)/pytest tests/containers $(PYTEST_ARGS)

bench: setup ## measures latency, barge-in, provider chaos, turn-taking and scale against the goals; twenty minutes (BENCH=overhead for one)
	@PYTHONPATH=tests $(BIN)/python -m bench $(BENCH)

lint: setup ## ruff, mypy, and known vulnerabilities of the locked packages where a network allows; as .ci/run does
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@scripts/audit.sh

format: setup ## let ruff sort imports and format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: setup ## write docs/configuration.md, openapi.json and asyncapi.yaml anew from the code
	@$(BIN)/python scripts/docs.py

up: ## docker compose: build, start, wait until everything is ready (WORKERS=3, here or in .env, for three workers)
	@scripts/make-env.sh
	@$(if $(WORKERS),WORKERS=$(WORKERS)) $(COMPOSE) up --build --wait
	@$(COMPOSE) ps

down: ## docker compose: stop and remove the containers; recordings and Redis data stay (docker compose down -v removes them)
	@$(COMPOSE) down

lock: ## write locks/*.txt anew from the pyproject.toml files (needs uv)
	@scripts/lock.sh

clean: ## remove .venv, out/ and every cache
	rm -rf .venv out .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.egg-info' -type d -prune -exec rm -rf {} +
