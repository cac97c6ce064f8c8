#!/usr/bin/env bash
# Sets up a virtual environment with what the tests need, and runs them. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")"
[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/pip install -q --disable-pip-version-check -e '.[test]'
.venv/bin/ruff check -q .
.venv/bin/ruff format -q --check .
.venv/bin/lint-imports --no-cache
exec .venv/bin/python -m pytest "$@"
