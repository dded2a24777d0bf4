# make demo           install, then run the main commands of week 0 and of the last week; WEEK=3 runs those of week 3
# make test           install, then run everything that is tested; WEEK=3 tests week 3 alone
# make site           install, then build the site of the course into site/
# make pictures       install, then draw images/ anew, and take pictures of a run; needs some packages of Debian:
#                     apt-get install chromium fonts-dejavu fonts-lato fonts-noto-color-emoji graphviz
# make bench          install, then measure the course beside what people would use; COLA=DIR measures on CoLA
# make clean          remove all that git ignores: demos, models and caches of the weeks, the virtual environment

PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
SLOWEST = --durations=8 --durations-min=5
FITS = import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))

.PHONY: help demo test install lint ladder test-root site pictures bench clean

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

demo: install
	$(PY) tools/walk.py $(or $(WEEK),0 9)

ifdef WEEK
test: install
	OMP_NUM_THREADS=1 $(PY) tools/weeks.py test $(WEEK)
else
test: install lint ladder test-root
endif

install: $(VENV)/.installed

# The AWS CLI has an environment of its own, as its botocore is not that of constraints.txt.
AWS = '\#!/bin/sh\nexec "%s/aws-cli/bin/python" -E -m awscli "$$@"\n'

$(VENV)/.installed: requirements.txt constraints.txt $(wildcard week_*/requirements.txt)
	@$(PYTHON) -c '$(FITS)' || \
		{ echo "error: Python 3.11 to 3.13 is needed: name one, as in make demo PYTHON=python3.12" >&2; exit 2; }
	@echo "== installing into $(VENV) (a few minutes the first time)"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(PYTHON) -m venv $(VENV)/aws-cli
	$(VENV)/aws-cli/bin/python -m pip install --quiet --disable-pip-version-check awscli
	printf $(AWS) "$$PWD/$(VENV)" > $(VENV)/bin/aws && chmod +x $(VENV)/bin/aws
	@touch $@

lint: install
	@echo "== lint"
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

ladder: install
	@echo "== the ladder of weeks"
	$(PY) tools/weeks.py check

test-root: install
	@echo "== the tests: each week's own, READMEs, workflows, the whole; images, where a container engine answers"
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadgroup $(SLOWEST)

site: install
	@echo "== the site"
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict
	@echo "look at it: $(PY) -m http.server --directory site"

pictures: install
	@echo "== the pictures"
	$(PY) images/draw.py
	$(PY) images/shoot.py $(RUN)

bench: install $(VENV)/bench/.installed
	@echo "== the benchmarks"
	$(PY) benchmarks/report.py $(if $(COLA),--cola $(COLA))

# What people would use has an environment of its own, as it asks for other versions than constraints.txt.
$(VENV)/bench/.installed: benchmarks/requirements.txt
	$(PYTHON) -m venv $(VENV)/bench
	$(VENV)/bench/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache demo site
	git clean -fdXq week_*
