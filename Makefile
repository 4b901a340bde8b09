# Cordon's commands. `make help` lists them; .ci/ holds the scripts behind them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.NOTPARALLEL:
.PHONY: help run build install uninstall test test-guest bench lint clean

SOURCES := Package.swift Policies Jail Supervisor Tests

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' Makefile | column -t -s '|'

build: ## install what is missing and build everything into .build/release
	@.ci/install build
	@[[ -x .build/release/cordon ]] || echo "cordon: building, which takes a minute or two the first time" >&2
	@.ci/swift build -c release --quiet

run: build ## run a real untrusted workload in a jail and print its report
	@images/demo/run

install: ## put what was built into PREFIX (/usr/local), and the units of the service for all users; knows DESTDIR
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' .ci/place install

uninstall: ## take that away again, but not /etc/cordon and /var/lib/cordon
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' .ci/place uninstall

test: build ## run all tests, the Linux 6.1 guest included
	@.ci/install build test bench
	@.ci/test

test-guest: build ## run only the guest: Linux 6.1, pure cgroup v2
	@.ci/install build test
	@.ci/test guest

bench: build ## measure Cordon against its floors and peers
	@.ci/install build bench
	@.build/release/bench

lint: ## check formatting and style
	@.ci/install build
	@.ci/swift format lint --strict --parallel --recursive $(SOURCES)
	@Tests/Programs/check-programs >/dev/null
	@grep -rlE '^#!/bin/(ba)?sh' .ci images Tests | xargs -n 1 bash -n
	@grep -rlE '^#!/usr/bin/env python3' images Tests | xargs python3 -c \
	    'import ast, sys; [ast.parse(open(name).read(), name) for name in sys.argv[1:]]'

clean: ## remove everything that was built
	@rm -rf .build
