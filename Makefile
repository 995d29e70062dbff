# make help lists the targets. Go is all that build, run, test, race (with a C compiler), lint, fuzz and bench need;
# interop, bench-peers and golden make a Python environment for each requirements file, named by its content, in the user's
# cache, so that a fresh clone on the same machine finds it.

GO       ?= go
PYTHON   ?= python3
BIN      := bin/tfsopt
OUT      := out
# By executions: when a time is over, Go may report a target as failed with "context deadline exceeded".
FUZZTIME ?= 20000x

GOFUMPT     := $(GO) run mvdan.cc/gofumpt@v0.12.0
STATICCHECK := $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Packages that start goroutines or share memory between them.
CONCURRENT := ./engine ./data ./evaluate ./quantize ./train ./prune ./distill ./kernels ./cmd/...

MODEL := testdata/models/fashion_cnn.onnx
TRAIN := testdata/data/fashion-train-images.gz,testdata/data/fashion-train-labels.gz
TEST  := testdata/data/fashion-test-images.gz,testdata/data/fashion-test-labels.gz
SMALL := $(OUT)/fashion_cnn_int8.onnx

# venv FILE is the environment of a requirements file.
venv   = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tfsopt/venv-$(shell cksum <testdata/interop/$(1) | cut -d' ' -f1)
VENV  := $(call venv,requirements.txt)
TORCH := $(call venv,requirements-torch.txt)
ML    := $(call venv,requirements-ml.txt)
TF    := $(call venv,requirements-tensorflow.txt)

.DEFAULT_GOAL := help
.PHONY: help build run test race lint format bench bench-peers interop fuzz generate golden clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/tfsopt, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/tfsopt

run: build ## quantize the bundled model and judge it against the original
	@mkdir -p $(OUT)
	$(BIN) quantize $(MODEL) -o $(SMALL) --data $(TRAIN) --preprocess unit --quiet
	$(BIN) evaluate $(SMALL) --reference $(MODEL) --data $(TEST) --preprocess unit --max-drop 1

test: ## run every test; those on real models skip without ../shared
	$(GO) test $(TESTFLAGS) ./...

race: ## run the concurrent packages' tests under the race detector, with the Go kernels
	$(GO) test -race -tags noasm -short $(TESTFLAGS) $(CONCURRENT)

lint: ## gofumpt, go vet, staticcheck
	@files=$$($(GOFUMPT) -l .) || exit 1; [ -z "$$files" ] || { echo "not formatted by gofumpt:"; echo "$$files"; exit 1; }
	$(GO) vet ./... ./testdata/interop/...
	$(GO) vet -C kernels/gen ./...
	$(STATICCHECK) ./... ./testdata/interop/...

format: ## rewrite the sources as gofumpt wants them
	$(GOFUMPT) -w .

bench: ## run the Go benchmarks of kernels and engine; compare two runs with benchstat
	$(GO) test -run '^$$' -bench . -benchmem ./kernels ./engine

fuzz: ## run each fuzz target for FUZZTIME: executions (20000x) or time (1m)
	@grep -rlE '^func Fuzz' --include='*_test.go' . | sort | while read -r file; do \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' $$file); do \
			echo "$$(dirname $$file) $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 50x $$(dirname $$file) || exit 1; \
		done; \
	done

generate: ## make kernels/*.s and docs/operators.md again
	$(GO) generate ./kernels
	$(GO) test . -run '^TestOperatorsPage$$' -update

$(VENV)/done: testdata/interop/requirements.txt
$(TORCH)/done: testdata/interop/requirements-torch.txt
$(ML)/done: testdata/interop/requirements-ml.txt
$(TF)/done: testdata/interop/requirements-tensorflow.txt
$(VENV)/done $(TORCH)/done $(ML)/done $(TF)/done:
	$(PYTHON) -m venv $(@D) || { echo "cannot make $(@D): python3 with venv is needed (Debian: apt-get install python3-venv)"; exit 1; }
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $< || \
		{ echo "cannot install $<: is the network there?"; exit 1; }
	@touch $@

interop: build $(VENV)/done $(ML)/done $(TF)/done ## check the files we read and write, and the scores, against ONNX Runtime and TensorFlow
	$(TF)/bin/python testdata/interop/tensorflow_check.py --tfsopt $(BIN)
	$(TF)/bin/python testdata/interop/tensorflow_data.py --tfsopt $(BIN)
	$(ML)/bin/python testdata/interop/ml.py
	$(VENV)/bin/python testdata/interop/check.py

golden: build $(VENV)/done ## show that quantize, train, prune and distill give the same bytes for every model, thread count and kernel set (long)
	$(VENV)/bin/python testdata/interop/check.py --only bytes --all

bench-peers: build $(VENV)/done $(TORCH)/done ## time inference against ONNX Runtime, training steps against PyTorch, in turns
	$(VENV)/bin/python testdata/interop/bench_peers.py
	$(TORCH)/bin/python testdata/interop/bench_train.py

clean: ## remove what the other targets made
	rm -rf bin $(OUT) $(VENV) $(TORCH) $(ML) $(TF)
