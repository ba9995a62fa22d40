# The commands of the project. Each works in a fresh clone with Python 3.11 or newer and nothing running.
# DATABASE_URL and REDIS_URL name servers of your own; without them PostgreSQL and Valkey start under var/.

PYTHON = .venv/bin/python
PORT = 8000

.PHONY: install demo serve stop test test-fast lock

install: .venv/installed

# Done once for each state of the lock file: the stamp is younger than the lock it stands for.
.venv/installed: requirements.lock
	@for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	  if $$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then found=$$name; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'Python 3.11 or newer with its venv module was not found: install it, then run make again.' >&2; exit 1; \
	fi; \
	echo "Installing into .venv with $$($$found --version) ..."; \
	$$found -m venv .venv && \
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

demo: install
	@$(PYTHON) manage.py migrate --verbosity 0
	@BASE_URL="$${BASE_URL:-http://127.0.0.1:$(PORT)}" $(PYTHON) manage.py demo

serve: install
	@$(PYTHON) manage.py migrate --verbosity 0
	@exec $(PYTHON) manage.py serve --port $(PORT)

stop:
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m config.running.stop; else echo 'Nothing is installed, so nothing runs.'; fi

test: install
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports --no-cache
	$(PYTHON) manage.py check
	$(PYTHON) manage.py makemigrations --check --dry-run
	$(PYTHON) -m pytest -n auto --dist worksteal

# While one works: no test that starts processes or servers, opens a browser or reads real data.
test-fast: install
	$(PYTHON) -m pytest -n auto --dist worksteal -m 'not slow'

# Needs uv. The lock holds no address: packages come from wherever pip is set up to fetch them.
lock:
	uv pip compile pyproject.toml --extra test --universal --generate-hashes --python-version 3.11 \
	  --fork-strategy fewest --no-header --quiet --output-file requirements.lock
