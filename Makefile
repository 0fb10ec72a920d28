# The commands of this repository. `make` without a target lists them. Each needs Rust, Go, git and make; what else it
# needs it installs (Debian, as root).

# How images, and what is measured, are compiled: release, or quick (no LTO: half the build time).
export PROFILE ?= release
# The parts of `make cluster-up`; all of them: kwok,metrics-server,node,prometheus,keda,upstream-vpa
PARTS ?= kwok,metrics-server
NAME ?= dev

.DEFAULT_GOAL := help
.PHONY: help demo demo-down test lint reference docs fmt fuzz-webhook images picture bench-recommender bench-webhook bench-updater bench-plan bench-replay quality cluster-up cluster-down clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- See it work
demo: ## Bring up a real cluster and node, install podfit, watch it resize workloads
	@examples/demo/run

demo-down: ## Remove every trace of the demo but the built programs
	@examples/demo/remove

# --- Work on it
test: ## Everything that proves the project, up to end-to-end tests
	@tests/all

lint: ## Formats, clippy, the supply chain
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	tests/supply-chain

fuzz-webhook: ## Send the webhook a million broken reviews (CASES=1000000)
	PODFIT_FUZZ_CASES=$(or $(CASES),1000000) cargo test --locked --profile quick -p podfit-webhook --test fuzz -- --nocapture

reference: ## Write docs/reference anew, from the programs' flags and metrics
	PODFIT_WRITE_REFERENCE=1 cargo test --locked --quiet -p podfit-recommender -p podfit-updater -p podfit-webhook -p kubectl-podfit the_reference_is_of_this_program

picture: ## Draw docs/runaway.svg anew, from a run of an HPA alone and beside a VPA
	@tests/end-to-end --suite fire no-runaway
	cp target/end-to-end/tests-fire/no-runaway.svg docs/runaway.svg

docs: ## The book of docs/ in target/book
	@tests/book

fmt: ## Format the code
	cargo fmt --all

images: ## Container images in target/images, without a docker daemon (PROFILE=quick: faster build)
	@tests/local-cluster/images --profile $(PROFILE)

# --- What it costs (docs/performance.md)
bench-recommender: ## The recommender beside upstream's (SIZES=1000,5000,10000 NAMESPACES=1 ONLY=podfit|upstream ESTIMATORS=histogram,adaptive)
	@tests/bench/run recommender

bench-webhook: ## The webhook beside upstream's (SIZES=10,1000,10000 ONLY=podfit|upstream)
	@tests/bench/run webhook

bench-updater: ## The updater beside upstream's (SIZES=25,250,1000 ONLY=podfit|upstream)
	@tests/bench/run updater

bench-plan: ## What planning for 50,000 pods takes, without a cluster
	cargo bench --locked --profile $(PROFILE) -p podfit-core --bench plan

bench-replay: ## How many recorded samples a second are replayed and scored
	cargo bench --locked --profile $(PROFILE) -p podfit-core --bench replay

quality: ## How well estimators size recorded usage (TRACES=folder of usage files; docs/quality.md)
	@tests/quality $(or $(TRACES),examples/usage)

# --- Clusters for experiments
cluster-up: ## A local cluster (NAME=dev PARTS=kwok,metrics-server,node,prometheus,keda,upstream-vpa)
	@tests/local-cluster/up --name $(NAME) --with $(PARTS)

cluster-down: ## End that cluster (NAME=dev)
	@tests/local-cluster/down --name $(NAME)

clean: ## Remove what was built here (the cluster's programs in ~/.cache/podfit stay)
	cargo clean
