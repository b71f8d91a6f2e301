#!/usr/bin/env bash
# Looks the locked packages up in the database of known vulnerabilities (osv.dev). Where no network reaches it, it says so
# and that is all: what can't be looked up is no finding. Exit code 1 when a locked package has a known vulnerability.
set -euo pipefail
cd "$(dirname "$0")/.."

database=api.osv.dev
if ! .venv/bin/python -c "import socket; socket.create_connection(('$database', 443), 3).close()" 2>/dev/null; then
  echo "audit: skipped, $database can't be reached from here"
  exit 0
fi

# Its own environment: it is a tool of the developer's machine, and its packages are none of ours.
tool=out/audit/bin/pip-audit
if [ ! -x "$tool" ]; then
  python3 -m venv out/audit
  out/audit/bin/pip install --quiet --disable-pip-version-check "pip-audit>=2.10,<3"
fi

failed=0
for lock in locks/*.txt; do
  echo "audit: $lock"
  "$tool" --requirement "$lock" --disable-pip --require-hashes --vulnerability-service osv --progress-spinner off || failed=1
done
exit "$failed"
