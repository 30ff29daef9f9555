# The front door: cmake and ninja do the work, tools/ holds the longer recipes.
# Every preset of CMakePresets.json has its own folder: build/release, build/dev, build/tsan, …

PORT    ?= 8080
DATA    ?= ./data
STORE   ?= sqlite
APP     ?= build/release/examples/orders/orders.so
SECONDS ?= 60
PREFIX  ?= /usr/local
PRESET  ?= release

.PHONY: all help run test check soak bench fuzz lint format install clean packages-run packages-postgres packages-test packages-lint

all: packages-run ## build the library, the program and the examples (PRESET=release)
	@tools/build.sh $(PRESET)

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

run: $(if $(filter postgres,$(STORE)),packages-postgres,packages-run) ## build, then serve the orders example (PORT=8080 DATA=./data APP=….so; STORE=postgres)
	@tools/build.sh release
	@tools/run.sh "$(PORT)" "$(STORE)" "$(DATA)" "$(APP)"

test: packages-test ## build and run every test (under ten minutes)
	@tools/test.sh

check: packages-lint ## what takes longer: clang, sanitizers, fuzzers, lint (half an hour)
	@tools/check.sh

soak: packages-test ## the long versions: 1,000 crash rounds, long fuzzing
	@tools/soak.sh

bench: packages-postgres ## measure against the yardsticks, print the table
	@tools/build.sh release
	@bench/run.sh

fuzz: packages-test ## run every libFuzzer target (SECONDS=60 for each)
	@tools/fuzz.sh $(SECONDS)

lint: packages-lint ## clang-format, shellcheck, clang-tidy
	@tools/lint.sh

format: packages-lint ## rewrite the sources with clang-format
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: all ## install below PREFIX=/usr/local (DESTDIR is honoured)
	@cmake --install build/$(PRESET) --prefix $(PREFIX)

clean: ## remove everything that was built
	@rm -rf build

packages-run packages-postgres packages-test packages-lint: packages-%:
	@tools/install-packages.sh $*
