# A fresh clone needs Python 3.11-3.13, Node 20 or newer, and make. Everything goes into .venv and client-js/node_modules.

PORT ?= 5000

.PHONY: run test lint format bench bench-signals bench-chunks soak build clean

run:  ## serve the gallery at http://127.0.0.1:5000
	@scripts/install run
	@scripts/client build
	@.venv/bin/databench analyses --port $(PORT)

test:  ## all tests; installs what they need
	@scripts/test

lint:  ## style and types
	@scripts/lint

format:  ## repair style
	@scripts/format

bench:  ## measure, side by side with peers
	@scripts/bench

bench-signals:  ## measure signals only, side by side with peers
	@scripts/bench signals

bench-chunks:  ## measure chunks only, side by side with peers
	@scripts/bench chunks

soak:  ## a minute of ten random faults a second while jobs run
	@scripts/soak

build:  ## sdist and wheel, in dist/
	@scripts/build

clean:  ## remove all that was installed, built or cached
	rm -rf .venv build dist client-js/node_modules services/gateway/databench_gateway/static/client
	rm -rf .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
