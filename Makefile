# Every target says what it is for: make help.
SHELL := /bin/bash
.DEFAULT_GOAL := help

GO       ?= go
BIN      := bin/barnabas
LISTEN   ?= 127.0.0.1:9092
DATA     ?= ./data
FUZZTIME ?= 60s
PEERS    := $(or $(BARNABAS_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/barnabas-peers)
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)

SOAK     ?= 100

.PHONY: build run test unit integration peers race lint fuzz fuzz-short soak bench clean help

build: ## bin/barnabas
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/barnabas

run: build ## start the broker on 127.0.0.1:9092 with its data in ./data (LISTEN=, DATA=)
	exec $(BIN) serve --listen $(LISTEN) --data $(DATA)

test: build unit fuzz-short peers integration ## everything, the real clients included; installs what it needs outside the tree, once

unit: ## vet, the layering of the rooms, every package's tests with the race detector
	$(GO) vet ./...
	$(GO) vet -tags integration ./integration/...
	$(GO) test -race -timeout 20m ./...

peers: ## install the pinned real clients and Apache Kafka into the cache (BARNABAS_CACHE)
	@bash integration/setup/all.sh

integration: build ## the suite against real clients, Apache Kafka and ZooKeeper (RUN=pattern picks tests)
	$(GO) test -tags integration -timeout 40m -p 1 -count 1 $(if $(RUN),-run '$(RUN)') ./integration/...
	$(if $(RUN),,BARNABAS_ZK_JARS=$(PEERS)/kafka-3.9.2 $(GO) test -tags integration -timeout 10m -count 1 ./coordinator/store/zk)

race: ## every package's tests with the race detector, three times, in random order
	$(GO) test -race -shuffle on -count 3 ./...

lint: ## gofmt, vet, and golangci-lint where it is installed
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run ./...; else echo "golangci-lint is not installed: vet only"; fi

fuzz: ## each fuzzer for FUZZTIME (60s), from what earlier runs found
	@GO=$(GO) bash scripts/fuzz.sh $(FUZZTIME) "$$($(GO) env GOCACHE)/fuzz"

fuzz-short: ## each fuzzer for 20000 executions, from its seeds
	@GO=$(GO) bash scripts/fuzz.sh 20000x

soak: build peers ## the long form of the campaigns: SOAK (100) kills of a broker under load, as many times the histories, random groups
	BARNABAS_SOAK=$(SOAK) $(GO) test -timeout 120m -count 1 -v -run '^TestHistories$$' ./storage
	$(GO) test -timeout 120m -count 1 -v -run '^TestRandomSchedules' ./coordinator/group -rapid.checks=$$(( $(SOAK) * 100 ))
	BARNABAS_SOAK=$(SOAK) $(GO) test -tags integration -timeout 120m -count 1 -v -run '^TestKilled(UnderLoad|WhenSyncing)$$' ./integration

bench: build peers ## barnabas and Apache Kafka 3.9.2 side by side; writes docs/BENCHMARKS.md (BENCH= flags)
	$(GO) run ./integration/bench $(BENCH)

clean: ## remove what make build left; the peers' cache stays
	rm -rf bin

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | sort | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'
