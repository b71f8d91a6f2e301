#!/usr/bin/env bash
# Writes locks/*.txt: every version pinned, with hashes, for Python 3.11 and later on every platform.
# locks/dev.txt holds everything; the others are parts of it: one for each service, and locks/build.txt for what builds
# wheels inside the images. Needs `uv` on the PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    --no-annotate --override locks/dropped.txt "$@"
}
compile --extra local shared/pyproject.toml webhook-gateway/pyproject.toml streamer/pyproject.toml \
  ai-worker/pyproject.toml simulator/pyproject.toml devstack/pyproject.toml cli/pyproject.toml locks/dev.in "${LOCK_ARGS:---upgrade}" -o locks/dev.txt
for service in webhook-gateway streamer simulator; do
  compile -c locks/dev.txt shared/pyproject.toml "$service/pyproject.toml" -o "locks/$service.txt"
done
compile -c locks/dev.txt --extra local shared/pyproject.toml ai-worker/pyproject.toml -o locks/ai-worker.txt
compile -c locks/dev.txt locks/build.in -o locks/build.txt
