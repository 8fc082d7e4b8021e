# make help lists the targets. Everything runs in a virtual environment, .venv, which the first target makes.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
PYTHON ?= $(or $(firstword $(foreach python,python3 python3.14 python3.13 python3.12 python3.11,\
  $(shell $(python) -c '$(SUPPORTED)' 2>/dev/null && echo $(python)))),python3)
ENGAGE_PORT ?= 8080
ENGAGE_SERVICE_PORT ?= 8000
SIZES ?= 10000,100000,1000000
VENV := .venv
SPARK_VENV := .venv-spark
RUN := $(VENV)/bin/python -m
export ENGAGE_PORT ENGAGE_SERVICE_PORT
# The caller's shell decides neither which modules Python finds nor where pip puts them.
unexport $(filter PYTHON% PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT,$(.VARIABLES))

.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 26

demo: install $(if $(filter spark,$(ENGINE)),$(VENV)/spark-installed) ## run a campaign on synthetic customers, or several: make demo [CUSTOMERS=10000] [HISTORY=4] [ENGINE=spark] [ENGAGE_PORT=8080]
	$(RUN) engage demo $(if $(CUSTOMERS),--customers $(CUSTOMERS)) $(if $(HISTORY),--history $(HISTORY)) $(if $(ENGINE),--engine $(ENGINE))

up: install ## serve Airflow, the HTTP service and Postgres until Ctrl-C: make up [ENGAGE_PORT=8080]
	$(RUN) engage up

test: lint test-integration test-e2e ## check style and types, then run the tests: about 20 minutes on 2 cores

test-fast: lint ## check style and types, then run the unit and DAG tests: under 90 seconds on 2 cores
	$(RUN) pytest -n 2 -m "not deep" tests/unit tests/dags

test-integration: $(VENV)/tests-installed ## run the unit, DAG and integration tests; starts a real Postgres
	$(RUN) pytest -n 3 -m "not deep" tests/integration tests/dags tests/unit

test-e2e: $(VENV)/tests-installed ## run the end-to-end tests; starts a real Airflow and a real browser
	$(RUN) pytest -n 3 -m "not deep" tests/e2e

test-deep: $(VENV)/tests-installed $(VENV)/spark-installed ## run the tests that take long, as CI does: kills, hangs, stacks of their own
	$(RUN) pytest -n 3 -m deep tests/integration tests/dags tests/unit
	$(RUN) pytest -n 3 -m deep tests/e2e

test-spark: $(VENV)/tests-installed $(VENV)/spark-installed $(SPARK_VENV)/installed ## test Spark itself, a master and two workers: minutes; needs Java 17
	ENGAGE_TEST_SPARK=1 $(RUN) pytest -n 0 -v -k "not sail" tests/integration/test_spark.py

test-compose: $(VENV)/tests-installed ## test the server stack of docker-compose.yaml: minutes; needs docker
	ENGAGE_TEST_COMPOSE=1 $(RUN) pytest -v tests/compose

env: ## write the secrets of a server into .env
	@$(PYTHON) deploy/env.py .env

bench: $(VENV)/benchmarks-installed ## compare with a plain scan and with peers, time the pages, minutes: make bench [SIZES=10000,100000,1000000]
	$(RUN) benchmarks --customers $(SIZES)

lint: $(VENV)/tests-installed ## check style, types and security
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) bandit -q -c pyproject.toml -r engage plugins dags deploy
	$(VENV)/bin/zizmor --offline -q .
	$(VENV)/bin/check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(RUN) mypy

format: $(VENV)/tests-installed ## format the code
	$(RUN) ruff check --fix-only .
	$(RUN) ruff format .

install: $(VENV)/bin/engage ## install the requirements and the command engage into .venv

lock: $(VENV)/tests-installed ## write constraints.txt and locks/ from the requirements
	$(COMPILE) $(REQUIREMENTS) -o constraints.txt
	$(HASHES) requirements.txt -o locks/engage.txt
	$(HASHES) tests/requirements.txt -o locks/tests.txt
	$(HASHES) benchmarks/requirements.txt -o locks/benchmarks.txt
	$(HASHES) deploy/sbom.txt -o locks/sbom.txt
	$(HASHES) requirements-spark.txt -o locks/spark.txt
	$(HASHES) deploy/sail.txt -o locks/sail.txt
	$(HASHES) tests/spark-server.txt -o locks/spark-server.txt
	sed '/^# For the tests only/,$$d' requirements.txt | $(HASHES) - deploy/requirements.txt -o locks/server.txt
	grep '^uv==' tests/requirements.txt | $(HASHES) - -o locks/uv.txt

sbom: $(VENV)/installed ## write sbom.json, the list of the server's packages (CycloneDX)
	@rm -rf .sbom && $(VENV)/bin/python -m venv .sbom/server && $(VENV)/bin/python -m venv .sbom/tool
	@$(call INSTALL,server,.sbom/server) && $(call INSTALL,sbom,.sbom/tool)
	@.sbom/tool/bin/python -W ignore -m cyclonedx_py environment --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --of JSON -o sbom.json .sbom/server/bin/python
	@rm -rf .sbom

release: $(VENV)/tests-installed ## check all that a release needs: make release DRY_RUN=1. A tag makes the release itself
	@$(RUN) deploy.release $(if $(DRY_RUN),--dry-run)

clean: ## remove the local stack's data; asks first on a terminal
	@rm -rf .engage-bench .sbom sbom.json
	@if [ -x $(VENV)/bin/python ]; then $(RUN) engage clean $$([ -t 0 ] || echo --yes); else rm -rf .engage; fi

$(VENV)/installed: locks/engage.txt locks/uv.txt
	@$(PYTHON) -c '$(SUPPORTED)' 2>/dev/null || { \
	  echo "Engage needs Python 3.11 to 3.14; $(PYTHON) is '$$($(PYTHON) -V 2>&1 | head -1)'."; \
	  echo "Install one of these, or name it: make demo PYTHON=/path/to/python3.12"; exit 1; }
	@umask 022; $(PYTHON) -m venv $(VENV)
	@echo "Installing the requirements into $(VENV) …"
	@umask 022; $(call PIP,uv,$(VENV)) || echo "uv cannot be installed; pip takes longer"
	@$(call INSTALL,engage,$(VENV))
	@touch $@

# The command line, for every folder. pip would have to fetch a build tool for it, which no lock pins.
$(VENV)/bin/engage: $(VENV)/installed
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/bin/python" -P -m engage "$$@"\n' "$(CURDIR)" "$$(cd $(VENV) && pwd)" >$@
	@chmod 755 $@

$(VENV)/tests-installed: $(VENV)/installed locks/tests.txt | $(VENV)/bin/engage
	@$(call INSTALL,tests,$(VENV))
	@touch $@

# The client of Spark Connect, and Sail, a server without Java.
$(VENV)/spark-installed: $(VENV)/installed locks/spark.txt locks/sail.txt
	@$(call INSTALL,spark,$(VENV))
	@$(call INSTALL,sail,$(VENV))
	@touch $@

# Spark itself for tests. It has the same modules as its client, so it has an environment of its own.
$(SPARK_VENV)/installed: $(VENV)/installed locks/spark-server.txt
	@$(PYTHON) -m venv $(SPARK_VENV)
	@$(call INSTALL,spark-server,$(SPARK_VENV))
	@touch $@

$(VENV)/benchmarks-installed: $(VENV)/installed locks/benchmarks.txt
	@$(call INSTALL,benchmarks,$(VENV))
	@touch $@

# $(call INSTALL,engage,.venv) installs locks/engage.txt into .venv. A file whose hash is not in the lock is refused.
# uv wants a cache below HOME; without one pip does it.
PIP = $(2)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r locks/$(1).txt
define INSTALL
umask 022; \
{ [ -x $(VENV)/bin/uv ] && $(VENV)/bin/uv pip install -q --python $(2)/bin/python --compile-bytecode --require-hashes -r locks/$(1).txt; } || \
$(PIP)
endef

REQUIREMENTS := requirements.txt tests/requirements.txt benchmarks/requirements.txt deploy/requirements.txt deploy/sbom.txt \
  requirements-spark.txt deploy/sail.txt tests/spark-server.txt
COMPILE := $(VENV)/bin/uv pip compile --universal --python-version 3.11 --no-header --no-annotate --quiet \
  --no-emit-index-url --no-emit-find-links
HASHES := $(COMPILE) --generate-hashes -c constraints.txt

.NOTPARALLEL:
.PHONY: help demo up test test-fast test-integration test-e2e test-deep test-spark test-compose env bench lint format install lock sbom release clean
