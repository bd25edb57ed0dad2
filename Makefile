# make demo     install what is missing, build, then convert, quantize, generate and verify a tiny real model
# make test     the test suite, in release
# make models   fetch the real models and vocabularies that `check` and `bench` use (about 360 MB)
# make check    everything against independent implementations, on a real model (Python in .venv)
# make fuzz     feed every reader with arbitrary bytes under libFuzzer, SECONDS=20 each
# make format   format the sources in place
# make lint     what the formatter and the census would object to
# make bench    time prefill, encoding of text and the conversion of 4 GB beside their peers
# make docs     build the documentation into .build/docs, warnings as errors
# make census   lines per room, and the longest files

.PHONY: demo test models check fuzz format lint bench docs census
sources := Sources Tests Fuzz Package.swift
SECONDS ?= 20

demo: install
	swift build -c release --product karat
	scripts/demo

test: install
	KARAT_SWEEP=1 swift test -c release --disable-testable-imports --filter KaratKernelsTests
	swift test -c release --disable-testable-imports

models:
	scripts/models

check: install models
	scripts/python
	scripts/check

fuzz: install
	scripts/fuzz -max_total_time=$(SECONDS)

format:
	swift format --in-place --recursive $(sources)

lint:
	swift format lint --strict --recursive $(sources)
	scripts/census --check

bench: install models
	swift build -c release --product karat
	scripts/python
	scripts/bench
	scripts/bench-tokenizers
	scripts/bench-convert

docs:
	scripts/docs

census:
	scripts/census

.PHONY: install
install:
	@scripts/install
