# The commands of a day's work. They need python3 with pip and make their own .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
UV := UV_PYTHON_DOWNLOADS=never $(BIN)/uv
FRAMEWORK ?= django

.PHONY: help
help:  ## show this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing what the project needs into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(UV) pip install --quiet --python $(BIN)/python -r requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $(READY)

.PHONY: setup
setup: $(READY)  ## make .venv with everything in it

.PHONY: demo
demo: $(READY)  ## run the example application (FRAMEWORK=django, flask or fastapi)
	@$(BIN)/python -m example_project $(FRAMEWORK)

# What tests need of the system: a browser for the example project, `ip` to cut a cable,
# and servers of Redis, PostgreSQL and MariaDB, which the tests start themselves.
# Debian's packages, installed when that is allowed.
PROGRAMS := chromium chromedriver ip redis-server openssl mariadbd initdb
PACKAGES := chromium chromium-driver iproute2 redis-server openssl mariadb-server postgresql
# Debian keeps PostgreSQL's programs out of PATH.
FIND := PATH="$$PATH:/usr/sbin:$$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')"

.PHONY: system
system:
	@$(FIND); for name in $(PROGRAMS); do command -v $$name >/dev/null || missing=1; done; \
	test -z "$$missing" || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& echo "Installing $(PACKAGES) ..." && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(PACKAGES) >/dev/null; \
	} || echo "Not all of $(PROGRAMS) are here: the tests that need them cannot run"

.PHONY: test
test: $(READY) system  ## run the tests
	@$(BIN)/pytest -n 2 --dist loadfile

.PHONY: test-crash
test-crash: $(READY) system  ## kill processes for 20 rounds with each outbox (ROUNDS=20)
	@EXPLORE=1 $(BIN)/pytest -q tests/metering/test_model.py
	@$(BIN)/python -m tests.crash --rounds $(or $(ROUNDS),20)
	@$(BIN)/python -m tests.crash --rounds $(or $(ROUNDS),20) --proxy

.PHONY: interop
interop: $(READY)  ## speak with gRPC of other languages (PEERS="node ruby go grpcurl")
	@$(BIN)/python -m tests.interop $(PEERS)

.PHONY: check
check: lint types layers  ## lint, types and layers

.PHONY: lint
lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(READY)
	$(BIN)/mypy
	$(BIN)/pyright

.PHONY: layers
layers: $(READY)
	$(BIN)/lint-imports

.PHONY: format
format: $(READY)  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: matrix
matrix: $(READY)  ## run the tests on every supported version
	$(BIN)/nox

.PHONY: docs
docs: $(READY)  ## build the documentation into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# The generator is old on purpose: its code loads on every protobuf from 5.29 to 7.x.
PROTOC = $(UV) run --quiet --no-project --python $(BIN)/python \
	--with grpcio-tools==1.68.1 --with 'setuptools<80' python -m grpc_tools.protoc
PROTOCOL := sidecar_client/protocol

.PHONY: proto
proto: $(READY)  ## generate the protocol's Python code
	@rm -rf build/proto && mkdir -p build/proto
	$(PROTOC) -I stigg/sidecar/v1=$(PROTOCOL) --python_out=build/proto \
		--pyi_out=build/proto --grpc_python_out=build/proto \
		stigg/sidecar/v1/sidecar.proto
	@sed -i 's/^from stigg\.sidecar\.v1 import/from sidecar_client.protocol import/' \
		build/proto/stigg/sidecar/v1/*.py
	@cp build/proto/stigg/sidecar/v1/* $(PROTOCOL)/

BENCH := .venv-bench/bin/python
BENCH_READY := .venv-bench/.ready

$(BENCH_READY): $(READY) requirements/bench.txt
	@test -x $(BENCH) || $(PYTHON) -m venv .venv-bench
	@echo "Installing what the bench needs into .venv-bench ..."
	@$(UV) pip install --quiet --python $(BENCH) -r requirements/bench.txt
	@$(UV) pip install --quiet --python $(BENCH) --no-deps -e .
	@touch $(BENCH_READY)

.PHONY: bench
bench: $(BENCH_READY)  ## measure (ARGS="metering", ARGS="sidecar", ARGS=--quick: minutes)
	@$(BENCH) -m bench $(ARGS)

.PHONY: lock
lock: $(READY)  ## resolve the dependencies anew
	$(UV) pip compile --quiet --universal --python-version 3.11 --no-header \
		--no-emit-index-url --all-extras --group dev --upgrade \
		-o requirements/dev.txt pyproject.toml
	$(UV) pip compile --quiet --python-version 3.11 --no-header \
		--no-emit-index-url --all-extras --group test --upgrade \
		--resolution lowest-direct -o requirements/oldest.txt pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.11 --no-header \
		--no-emit-index-url --all-extras -c requirements/dev.txt --upgrade \
		-o requirements/bench.txt pyproject.toml requirements/bench.in
