# Everything that a person or CI does with this project. `make` alone says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
STACK ?= local
AIRFLOW ?=
PYTHON := .venv/bin/python

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv/ready: requirements.txt requirements-dev.txt
	@echo "setting up .venv (Python packages)"
	@testbed/venv.sh
	@touch $@

.PHONY: up
up: .venv/ready ## Bring STACK (local) up: cluster, images, Airflow, a DAG run. Root for the testbed's cluster
	@$(PYTHON) -m ops up --stack=$(STACK)

.PHONY: preview
preview: .venv/ready ## Show what `make up` would change in STACK
	@$(PYTHON) -m ops preview --stack=$(STACK)

.PHONY: diff
diff: .venv/ready ## What the working tree changes in STACK against BASE (origin/main); no cloud. FORMAT=text|markdown|json
	@$(PYTHON) -m ops.diff --stack=$(STACK) --base='$(or $(BASE),origin/main)' --format=$(or $(FORMAT),text) --allow='$(ALLOW)'

.PHONY: report
report: .venv/ready
	@$(PYTHON) -m ops.diff_render '$(REPORT)' $(or $(FORMAT),text)

.PHONY: comment
comment: .venv/ready
	@$(PYTHON) -m ops.github comment --reports='$(REPORTS)' --commit='$(COMMIT)' --kind='$(or $(KIND),offline)'

.PHONY: issues
issues: .venv/ready
	@$(PYTHON) -m ops.github issue --reports='$(REPORTS)'

.PHONY: live-preview
live-preview: .venv/ready ## As diff, asked of the real thing with your credentials: what `up` would do to STACK
	@$(PYTHON) -m ops.live preview --stack=$(STACK) --format=$(or $(FORMAT),text) --allow='$(ALLOW)' $(if $(POLICY),--policy='$(POLICY)')

.PHONY: drift
drift: .venv/ready ## What in STACK is not what its state says. Changes nothing
	@$(PYTHON) -m ops.live drift --stack=$(STACK) --format=$(or $(FORMAT),text)

.PHONY: down
down: .venv/ready ## Stop STACK on this machine (DELETE=1: its data goes, too); elsewhere delete all that STACK has made
	@$(PYTHON) -m ops down --stack=$(STACK) $(if $(DELETE),--delete)

.PHONY: status
status: .venv/ready ## What runs in STACK, what it uses, what is wrong
	@$(PYTHON) -m ops status --stack=$(STACK)

.PHONY: password
password: .venv/ready ## Print the administrator's password of AIRFLOW (the first one) in STACK
	@$(PYTHON) -m ops password --stack=$(STACK) --airflow=$(AIRFLOW)

.PHONY: kubeconfig
kubeconfig: .venv/ready ## Print the path of STACK's kubeconfig, for kubectl and pulumi
	@$(PYTHON) -m ops kubeconfig --stack=$(STACK)

.PHONY: dump
dump: .venv/ready ## Write the database of AIRFLOW (the first one) in STACK to FILE
	@$(PYTHON) -m ops dump --stack=$(STACK) --airflow=$(AIRFLOW) --file='$(FILE)'

.PHONY: fetch-backup
fetch-backup: .venv/ready ## Copy BACKUP, a dump from before a migration, from AIRFLOW's volume in STACK to FILE
	@$(PYTHON) -m ops fetch-backup --stack=$(STACK) --airflow=$(AIRFLOW) --backup='$(BACKUP)' --file='$(FILE)'

.PHONY: recover
recover: .venv/ready ## Rebuild AIRFLOW in STACK from DUMP and the Fernet keys in KEYS (docs/recovery.md)
	@$(PYTHON) -m ops recover --stack=$(STACK) --airflow=$(AIRFLOW) --dump='$(DUMP)' --keys='$(KEYS)'

.PHONY: dev
dev: .venv/ready ## An Airflow of one's own on BASE (dev): NAME, for TTL (8h), with the DAGs of REF (docs/dev-stacks.md)
	@$(PYTHON) -m ops.dev up --base='$(or $(BASE),dev)' --name='$(NAME)' --ttl='$(TTL)' --ref='$(REF)' --owner='$(OWNER)'

.PHONY: dev-list dev-sweep
dev-list: .venv/ready ## Dev stacks on BASE (dev): whose, until when
dev-sweep: .venv/ready ## Delete the dev stacks on BASE (dev) whose time is over
dev-list dev-sweep:
	@$(PYTHON) -m ops.dev $(@:dev-%=%) --base='$(or $(BASE),dev)'

.PHONY: dev-down dev-extend
dev-down: .venv/ready ## Delete the dev stack NAME on BASE (dev), its database included
dev-extend: .venv/ready ## Let the dev stack NAME on BASE (dev) live for TTL (8h) from now
dev-down dev-extend:
	@$(PYTHON) -m ops.dev $(@:dev-%=%) --base='$(or $(BASE),dev)' --name='$(NAME)' $(if $(TTL),--ttl='$(TTL)') $(if $(IF_THERE),--if-there)

.PHONY: dev-comment
dev-comment: .venv/ready
	@$(PYTHON) -m ops.dev_comment --base='$(or $(BASE),dev)' --name='$(NAME)' --number='$(NUMBER)'

.PHONY: costs
costs: .venv/ready ## What STACK costs a month by list prices
	@$(PYTHON) -m ops costs --stack=$(STACK)

.PHONY: publish-dags
publish-dags: .venv/ready ## Publish FOLDER (dags-image/dags) to STACK's bucket: what new runs of AIRFLOW (the first one) get
	@$(PYTHON) -m ops publish-dags --stack=$(STACK) --airflow=$(AIRFLOW) $(if $(FOLDER),--folder='$(FOLDER)')

.PHONY: rollback-dags
rollback-dags: .venv/ready ## Make the earlier VERSION what new runs of AIRFLOW (the first one) in STACK get
	@$(PYTHON) -m ops rollback-dags --stack=$(STACK) --airflow=$(AIRFLOW) --version='$(VERSION)'

.PHONY: unlock
unlock: .venv/ready ## Take away the lock of a run on STACK that is dead, after saying whose it is
	@$(PYTHON) -m ops.unlock --stack=$(STACK)

.PHONY: smoke
smoke: .venv/ready ## Run DAG (example_sales_report) in AIRFLOW (every one) of STACK through its REST API
	@$(PYTHON) -m ops.smoke --stack=$(STACK) --airflow='$(AIRFLOW)' --dag='$(DAG)'

.PHONY: version
version: .venv/ready ## What git calls the working tree: the DAG image's version
	@$(PYTHON) -m testbed.images.version

.PHONY: promote
promote: .venv/ready ## Write VERSION (and DIGEST) of the DAG image into STACK's file, for AIRFLOW (every one)
	@$(PYTHON) -m ops.promote promote --stack=$(STACK) --airflow='$(AIRFLOW)' --version='$(VERSION)' --digest='$(DIGEST)'

.PHONY: promoted
promoted: .venv/ready ## The version of the DAG image in STACK's file
	@$(PYTHON) -m ops.promote promoted --stack=$(STACK) --airflow='$(AIRFLOW)'

.PHONY: image
image: .venv/ready ## Build the DAG image with docker and push it to REGISTRY (…-docker.pkg.dev/project); prints version and digest
	@version=$$($(PYTHON) -m testbed.images.version) && .github/scripts/build-image '$(REGISTRY)/images/dags' "$$version"

.PHONY: rollback
rollback: .venv/ready ## Write the image that STACK ran before into its file, for AIRFLOW (every one)
	@$(PYTHON) -m ops.promote rollback --stack=$(STACK) --airflow='$(AIRFLOW)'

.PHONY: test
test: lint test-fast test-dags test-go test-cluster ## Everything: linters, unit, DAGs, engine, and a running Airflow (root)

.PHONY: test-fast
test-fast: .venv/ready ## Unit and engine tests: no cluster, no root
	@$(PYTHON) -m pytest -q --numprocesses=2 --dist=loadscope tests/unit tests/engine

.PHONY: test-cluster
test-cluster: .venv/ready ## A running Airflow and the testbed itself, side by side on clusters of their own (root)
	@echo "cluster tests: two suites side by side; each prints when it has ended"
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-platform test-testbed

.PHONY: test-platform
test-platform: .venv/ready
	@$(PYTHON) -m pytest -q -m 'not long' $(wildcard tests/cluster/test_platform*.py)

.PHONY: test-long
test-long: .venv/ready ## What takes too long for every change: executors, deliveries, faults, one by one (root)
	@$(PYTHON) -m pytest -q -m long $(wildcard tests/cluster/test_platform*.py)

.PHONY: test-testbed
test-testbed: .venv/ready
	@$(PYTHON) -m pytest -q $(filter-out tests/cluster/test_platform%,$(wildcard tests/cluster/test_*.py))

.PHONY: test-go
test-go: .venv/ready
	@go=$$($(PYTHON) -m testbed.system iproute2 nftables)/go && cd testbed/cluster/netpol && "$$go" vet ./... && "$$go" test ./...

.PHONY: test-dags
test-dags: .venv/ready ## Every DAG imports and keeps the rules, every way that DAGs come; no cluster, no root
	@python=$$($(PYTHON) -m testbed.images.airflow_venv) && $(PYTHON) -m testbed.object_store env -C dags-image "$$python" -m pytest -q tests

.PHONY: dags-test
dags-test: .venv/ready ## Which DAG breaks a rule and how to mend it; then the DAGs' own tests
	@"$$($(PYTHON) -m testbed.images.airflow_venv)" dags-image/check.py

.PHONY: dags-run
dags-run: .venv/ready ## Run DAG for DATE here and now, without a cluster: tasks, states, log
	@"$$($(PYTHON) -m testbed.images.airflow_venv)" dags-image/run.py '$(DAG)' '$(DATE)'

.PHONY: dags-lock
dags-lock: .venv/ready ## Lock dags-image/requirements.in against the versions that Airflow needs
	@$(PYTHON) -m testbed.images lock --dags

.PHONY: bench
bench: .venv/ready ## How long the offline preview of STACK=prod takes
	@$(PYTHON) -m bench.offline_preview $(if $(filter local,$(STACK)),prod,$(STACK))

.PHONY: load
load: .venv/ready ## 240 DAGs, 5,400 tasks by each executor, a year of backfill: an hour of the whole machine (docs/load.md). ONLY= (root)
	@$(PYTHON) -m bench.load --only='$(ONLY)'

.PHONY: load-logs
load-logs: .venv/ready ## 2,000 lines a second through the log pipeline for 5 minutes, with fluentd on PATH (root)
	@$(PYTHON) -m bench.logs

.PHONY: lint
lint: .venv/ready ## Formatting, linters, strict type checks, workflows, shell scripts, Dockerfiles
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/ruff check --quiet .
	@.venv/bin/pyright --project pyproject.toml
	@.venv/bin/shellcheck $$(git ls-files '*.sh' .ci/run .github/scripts policy/pack)
	@PATH="$$PWD/.venv/bin:$$PATH" "$$($(PYTHON) -m testbed.actionlint)/actionlint"
	@.venv/bin/hadolint dags-image/Dockerfile
	@gofmt=$$($(PYTHON) -m testbed.system)/gofmt && test -z "$$(git ls-files '*.go' | xargs "$$gofmt" -l | tee /dev/stderr)"

.PHONY: format
format: .venv/ready ## Format the code
	@.venv/bin/ruff format --quiet .
	@.venv/bin/ruff check --quiet --fix .
