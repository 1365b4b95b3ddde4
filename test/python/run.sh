#!/bin/sh
# Runs test_client.py against BERTH_SERVER as BERTH_USER with BERTH_PASSWORD. Makes a virtual environment beside it at the first run.
# Exit code 77: cannot run here, and why on the last line.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/.venv
if ! "$venv/bin/python" -c 'import grpc, grpc_tools' 2>/dev/null; then
  command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
  rm -rf "$venv"
  python3 -m venv "$venv" >"$here/.venv.log" 2>&1 || { tail -n 1 "$here/.venv.log"; exit 77; }
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" >"$here/.venv.log" 2>&1 || {
    echo "grpcio cannot be installed: $(tail -n 1 "$here/.venv.log")"
    exit 77
  }
fi
exec "$venv/bin/python" "$here/test_client.py"
