# make demo: set up and run the main job on sample pictures.  make test: set up and pass the tests.  Others: see below.
# CONTRIBUTING.md says how long they take.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test test-quick test-long test-minimum test-milvus torture fuzz audit check site format bench bench-avx2 bench-million bench-milvus clean

demo:
	$(PYTHON) -m tools.demo

test:
	$(PYTHON) -m tools.test

# What is quick, for the time between.
test-quick:
	$(PYTHON) -m tools.test -m "not slow and not server and not long"

# See tools/test.py
FRUGAL = PATCHSEEK_CORES=1 OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=4000000

# The core's tests with the lowest versions that pyproject.toml allows. Some of them: make test-minimum TESTS=tests/test_cli.py
test-minimum: .venv-minimum/.ready
	$(FRUGAL) .venv-minimum/bin/python -m pytest -n 2 --max-worker-restart 0 --dist loadscope --no-loadscope-reorder --core $(TESTS)

# Drawing, adding and judging in a real browser, click by click, four minutes. `make test` has the rest of the page.
test-long:
	$(PYTHON) -m tools.test -m long

# What is known of our code, of the workflow and of the packages in use (bandit, zizmor, pip-audit), and a list of these
# packages (SBOM) in build/sbom.json.
# Left out: SQL is put together of names of our own (B608), a hub is asked for a file by name (B615; its hash is kept with
# the collection), and an address is compared with that of all interfaces (B104).
audit: $(VENV)/.dev .venv-audit/.ready
	mkdir -p build
	.venv-audit/bin/bandit --quiet --recursive src -ll --skip B608,B615,B104
	.venv-audit/bin/zizmor --offline .github/workflows
	.venv-audit/bin/cyclonedx-py environment $(VENV) --output-format JSON --output-file build/sbom.json
	.venv-audit/bin/pip-audit --path $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")

# Catalogues cut off, with flipped bits and wrong values, kills and no power at each call of the kernel: some minutes.
torture: $(VENV)/.dev
	PATCHSEEK_ROUNDS=1000 $(FRUGAL) $(BIN)/python -m pytest -n 2 --timeout 7200 tests/test_rebuild.py tests/test_killed_calls.py tests/test_catalogue_values.py -k "whatever or nobody"

# An hour: files and requests changed at random, see tests/fuzz.py.
fuzz: $(VENV)/.dev
	for target in pictures importers archives catalogues engines requests; do \
		$(FRUGAL) $(BIN)/python -m tests.fuzz $$target --seconds 600 --keep fuzz-found 2>/dev/null || exit 1; done

# The contract of indexes over a real Milvus server, three minutes. `make test` has it over Milvus Lite.
test-milvus: $(VENV)/.dev .venv-milvus/.ready
	$(BIN)/python -m pytest -m server tests/test_milvus_server.py

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/figures.py

# README, docs/, the commands' help and the library's docstrings as build/site. A broken link or anchor fails it, and so
# does a page that the navigation leaves out (but not with --quiet, which MkDocs takes for no warnings). To read it:
# python3 -m http.server --directory build/site
site: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=tools:src $(BIN)/python -m mkdocs build --strict

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Figures that the docs quote. Needs the annotated sets: make bench PATCHSEEK_DATA=FOLDER
bench: $(VENV)/.bench
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/cpus.py
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/compression.py --arithmetic
	$(BIN)/python benchmarks/localisation.py
	$(BIN)/python benchmarks/points.py
	$(BIN)/python benchmarks/points_kept.py
	$(BIN)/python benchmarks/copies.py
	$(BIN)/python benchmarks/refined.py
	$(BIN)/python benchmarks/queries.py
	$(BIN)/python benchmarks/proposals.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/many.py
	$(BIN)/python benchmarks/indexes.py
	$(BIN)/python benchmarks/encode.py
	$(BIN)/python benchmarks/fast.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/distributed.py
	$(BIN)/python benchmarks/serve.py
	$(BIN)/python benchmarks/mixed.py
	$(BIN)/python benchmarks/page.py
	$(BIN)/python benchmarks/saved.py
	$(BIN)/python benchmarks/judgements.py
	$(BIN)/python benchmarks/sources.py
	$(BIN)/python benchmarks/iiif.py
	$(BIN)/python benchmarks/film.py
	$(BIN)/python benchmarks/hostile.py
	$(BIN)/python benchmarks/cycles.py

# What depends most on the processor, with a newer one held back to AVX2
bench-avx2: export ONEDNN_MAX_CPU_ISA = AVX2
bench-avx2: export OV_CPU_MAX_ISA = AVX2
bench-avx2: $(VENV)/.dev
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/refined.py
	$(BIN)/python benchmarks/localisation.py --ways grid "and colours: the default"
	$(BIN)/python benchmarks/fast.py --ways fast "160 px"

# A million pictures: half an hour, 20 GB in build/
bench-million: $(VENV)/.dev
	mkdir -p build && $(BIN)/python benchmarks/million.py --folder build

# Milvus Lite and a Milvus server beside exact search, some minutes
bench-milvus: $(VENV)/.dev .venv-milvus/.ready
	$(BIN)/python benchmarks/milvus.py

clean:
	rm -rf $(VENV) .venv-minimum .venv-milvus build dist

$(VENV)/.dev $(VENV)/bin/python: pyproject.toml
	$(PYTHON) -m tools.environment dev

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) install --quiet --group bench
	touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(PIP) install --quiet --group docs
	touch $@

.venv-minimum/.ready: pyproject.toml tools/minimum_versions.py
	$(PYTHON) -m venv .venv-minimum
	.venv-minimum/bin/python -m pip --disable-pip-version-check install --quiet --upgrade pip
	.venv-minimum/bin/python tools/minimum_versions.py > .venv-minimum/constraints.txt
	.venv-minimum/bin/python -m pip --disable-pip-version-check install --quiet --editable . --group test --constraint .venv-minimum/constraints.txt
	touch $@

.venv-audit/.ready: Makefile
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip --disable-pip-version-check install --quiet "bandit>=1.9" "pip-audit>=2.9" "cyclonedx-bom>=4" "zizmor>=1.30"
	touch $@

# The last Milvus server that came as a Python package; it needs setuptools of its time, so it has an environment of its own.
.venv-milvus/.ready: | $(VENV)/bin/python
	$(PYTHON) -m venv .venv-milvus
	.venv-milvus/bin/python -m pip --disable-pip-version-check install --quiet 'milvus==2.3.5' 'setuptools<81'
	touch $@
