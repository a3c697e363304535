#!/usr/bin/env bash
# Makes .venv and installs what requirements-dev.txt pins. Debian splits `venv` off from Python: it is installed if missing.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON3:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "Python 3.11 or later is needed; '$python' is older or missing. Mend: install it, or set PYTHON3 to one." >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "Python's venv module is missing. Mend: sudo apt-get install python3-venv" >&2
    exit 1
  fi
  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3-venv
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install -q --disable-pip-version-check -r requirements-dev.txt
