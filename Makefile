# make demo           install, then run a week's main job on the bundled stand-ins; WEEK=1 walks another week
# make test           install, then run everything that is tested
# make site           install, then build the site of the course into site/
# make pictures       install, then draw images/ anew, and take pictures of a run; needs some packages of Debian:
#                     apt-get install chromium fonts-lato graphviz
# make clean          remove all that git ignores: demos, models and caches of the weeks, the virtual environment

PYTHON ?= python3
VENV ?= .venv
WEEKS = $(sort $(foreach w,$(wildcard week_*),$(firstword $(subst _, ,$(w:week_%=%)))))
WEEK ?= $(lastword $(WEEKS))
PY = $(VENV)/bin/python
SLOWEST = --durations=15 --durations-min=5
FITS = import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))

.PHONY: help week-there demo test install lint ladder test-root test-weeks test-images site pictures clean

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

week-there:
	@$(if $(week)$(filter $(WEEKS),$(MAKECMDGOALS)),echo "error: which week? Write make demo WEEK=0" >&2; exit 2)
	@$(if $(and $(filter 1,$(words $(WEEK))),$(filter $(WEEKS),$(WEEK))),,\
		echo "error: there is no week $$WEEK here: WEEK is one of $(WEEKS)" >&2; exit 2)

demo: week-there install
	$(PY) tools/walk.py $(WEEK)

test: install lint ladder test-root test-weeks test-images

install: $(VENV)/.installed

$(VENV)/.installed: requirements.txt constraints.txt $(wildcard week_*/requirements.txt)
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -c '$(FITS)' || \
		{ echo "error: Python 3.11 to 3.13 is needed: name one, as in make demo PYTHON=python3.12" >&2; exit 2; }
	@echo "== installing into $(VENV) (a few minutes the first time)"
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PY) -m pip install --disable-pip-version-check -r requirements.txt
	@touch $@

lint: install
	@echo "== lint"
	$(PY) -m ruff check .

ladder: install
	@echo "== the ladder of weeks"
	$(PY) tools/weeks.py check

test-root: install
	@echo "== the tests of the whole: ladder, stand-ins, READMEs, workflows"
	OMP_NUM_THREADS=1 $(PY) -m pytest -m "not docker" -n 2 --dist loadgroup $(SLOWEST)

test-weeks: install
	@echo "== the tests of each week, in a copy outside the repository"
	OMP_NUM_THREADS=1 $(PY) tools/weeks.py test --new -- -n 2 --dist loadfile $(SLOWEST)

test-images: install
	@echo "== the tests of the images, where a container engine answers"
	$(PY) -m pytest -m docker $(SLOWEST)

site: install
	@echo "== the site"
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict
	@echo "look at it: $(PY) -m http.server --directory site"

pictures: install
	@echo "== the pictures"
	$(PY) images/draw.py
	$(PY) images/shoot.py $(RUN)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache demo site
	git clean -fdXq week_*
