# make build   the binaries, beside their launchers in bin/
# make test    all tests; those against real Kafka where java and mvn are present
# make chaos   five minutes of kills on real brokers, with and without exactly-once (CHAOS_SECONDS, CHAOS_SEED)
# make demo    two embedded clusters, two workers, a mirror between them (DEMO_SECONDS=20 ends by itself)
# make bench   figures beside Java MirrorMaker 2 on real brokers (needs java and mvn; BENCH_ONLY=plain,json; test/bench/run.sh --help)
# make bench-all  every report of docs/benchmarks anew, which takes an hour (BENCH_REPORTS="figures json" for some)
# make apache-suite   Apache Kafka's own integration tests on the binaries (needs a JDK and mvn; APACHE_ONLY=OffsetsApi)
# make lint    gofmt, go vet, staticcheck, import rules
# make vuln    known vulnerabilities in the code that is reached (VULNDB=file:///… for a copy of the database)
# make check   lint, test and the race detector: what .ci/run does
GO       ?= go
VERSION  ?= $(shell cat VERSION)
COMMIT   ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
STAMP     = -X tributary/internal/buildinfo.Version=$(VERSION) -X tributary/internal/buildinfo.Commit=$(COMMIT)
BINARIES  = connect-distributed connect-standalone connect-mirror-maker connect-demo
TOOL      = $(GO) tool -modfile=tools/go.mod
UNIT      = $(shell $(GO) list ./... | grep -v -e /test/compat -e /test/chaos)
# Packages with goroutines of their own.
RACE      = ./connect/... ./connectors/... ./storage/... ./rest/... ./internal/kafka ./internal/rawkafka ./internal/awake ./internal/metrics ./internal/logging

.PHONY: build test unit compat chaos demo bench bench-all apache-suite lint race vuln check clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w $(STAMP)' -o bin/ $(BINARIES:%=./cmd/%)

test: unit compat

unit:
	$(GO) test -timeout 8m $(UNIT)

compat: build
	./test/compat/run.sh

chaos:
	CHAOS_LANES=$${CHAOS_LANES:-raw,record} CHAOS_SECONDS=$${CHAOS_SECONDS:-300} $(GO) test -count=1 -v -timeout 1h ./test/chaos

demo: build
	./bin/connect-demo

bench: build
	./test/bench/run.sh

bench-all: build
	./test/bench/all.sh $(BENCH_REPORTS)

apache-suite: build
	./test/apache/run.sh

lint:
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo 'gofmt -w these files' >&2; exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(TOOL) depguard ./...

race:
	CGO_ENABLED=1 $(GO) test -race -timeout 15m $(RACE)

vuln:
	$(TOOL) govulncheck $(if $(VULNDB),-db $(VULNDB)) ./...

check: lint test race

clean:
	rm -f $(BINARIES:%=bin/%)
	$(GO) clean -testcache
