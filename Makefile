# Asterism. `make` alone says what there is. CARGO_TARGET_DIR is honoured by every target.
# One profile (release) for all of them, so that nothing is built twice.

CARGO ?= cargo
.DEFAULT_GOAL := help
.PHONY: help run test lint bench soak fuzz screenshots

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Open the window on the sample (with no display: run the sample's recipe)
	@sh scripts/system-packages.sh run
	@CARGO="$(CARGO)" sh scripts/run.sh

test: ## Run all tests, the one in a real window under Xvfb too
	@sh scripts/system-packages.sh test
	@CARGO="$(CARGO)" sh scripts/test.sh

lint: ## Formatting, clippy with warnings as errors, licences where cargo-deny is installed
	@sh scripts/system-packages.sh build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null 2>&1; then $(CARGO) deny check licenses bans sources; \
	else echo "cargo-deny is not installed: licences not checked"; fi

bench: ## Measure this machine: start, reading, maps, lasso
	@sh scripts/system-packages.sh run
	$(CARGO) run --release -- bench all

soak: ## Use a window off screen for five minutes and watch its memory (ASTERISM_SOAK: seconds)
	@sh scripts/system-packages.sh test
	ASTERISM_SOAK=$${ASTERISM_SOAK:-300} $(CARGO) test --release -p asterism -p asterism-tests --test program \
		a_long_use_of_the_window_holds -- --nocapture

fuzz: ## Hand broken files and words to everything that reads them, a minute each
	@sh scripts/system-packages.sh build
	@CARGO="$(CARGO)" sh scripts/fuzz.sh

screenshots: ## Write the pictures of screenshots/
	@sh scripts/system-packages.sh test
	@CARGO="$(CARGO)" bash scripts/screenshots.sh
