#!/usr/bin/env bash
# Makes .venv with everything in locks/dev.txt and this repository's packages; does nothing when that is done already.
#   scripts/setup.sh           set up what is missing
#   scripts/setup.sh --check   say nothing, exit 0 when everything is set up, 1 when not
#   PYTHON=…                   the Python to use (3.11 or later); else the first suitable one on the PATH
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(pwd -P)
venv=.venv
stamp=$venv/.setup-done
log=$venv/setup.log
packages=(shared webhook-gateway streamer ai-worker simulator devstack cli)

sum() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# The path counts too: an environment that was moved with its folder points to where it was.
wanted=$({ echo "$root"; cat locks/dev.txt "${packages[@]/%//pyproject.toml}"; } | sum)
if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then exit 0; fi
if [ "${1:-}" = --check ]; then exit 1; fi

fail() {
  echo "setup: $1" >&2
  exit 1
}

python_for_venv() {
  local candidate found=""
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
    command -v "$candidate" >/dev/null || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$candidate"
        return
      fi
      found="$found $candidate (without the venv module: on Debian and Ubuntu it is the package python3-venv)"
    else
      found="$found $candidate ($("$candidate" -c 'import platform; print(platform.python_version())' 2>/dev/null || echo "does not run"))"
    fi
  done
  fail "Python 3.11 or later is needed, found:${found:- none}. Install one, or name it: make PYTHON=/path/to/python3.12 …"
}

# Runs pip into the log; says how far it is, every second on a terminal, every 5 s elsewhere; shows its errors in full.
pip_install() {
  local title=$1 total=$2 started=$SECONDS shown=$SECONDS every=5 width
  shift 2
  if [ -t 1 ]; then every=1; fi
  : >"$log"
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --no-deps --progress-bar off "$@" \
    >>"$log" 2>&1 </dev/null &
  local pip=$!
  trap 'kill $pip 2>/dev/null; exit 130' INT TERM
  while kill -0 $pip 2>/dev/null; do
    sleep 0.2
    if [ $((SECONDS - shown)) -ge $every ]; then
      shown=$SECONDS
      local line="setup: $title, $((SECONDS - started)) s, $(grep -c '^Collecting\|^Obtaining' "$log" || true) of $total"
      if grep -q '^Installing collected' "$log"; then line="setup: $title, $((SECONDS - started)) s, installing"; fi
      if [ -t 1 ]; then width=$(tput cols 2>/dev/null || echo 80); printf '\r\033[K%.*s' "$width" "$line"; else echo "$line"; fi
    fi
  done
  trap - INT TERM
  if [ -t 1 ]; then printf '\r\033[K'; fi
  if ! wait $pip; then
    grep -v -e 'is ignored: it is' -e '^Looking in' -e '^Collecting' -e '^  Using cached' -e '^  Downloading' "$log" >&2 || true
    fail "pip could not install $title; the whole log is in $log"
  fi
}

python=$(python_for_venv)
rm -f "$stamp"
if ! "$venv/bin/python" -c '' 2>/dev/null || ! grep -qF "$root/$venv" "$venv/bin/activate"; then
  echo "setup: making $venv with $("$python" -c 'import platform, sys; print("Python", platform.python_version(), "of", sys.executable)')"
  "$python" -m venv --clear "$venv"
fi
count=$(grep -c '^[A-Za-z0-9._-]*==' locks/dev.txt)
echo "setup: installing $count packages from locks/dev.txt (about 1 GB on disk; half a minute to three minutes)"
pip_install "packages" "$count" --require-hashes -r locks/dev.txt
pip_install "this repository's packages" "${#packages[@]}" --no-build-isolation "${packages[@]/#/--editable=./}"
if ! "$venv/bin/python" -c 'import xllamacpp' 2>"$log"; then
  tail -1 "$log" >&2
  fail "the local language model can't be loaded; if libgomp is what is missing: apt-get install libgomp1 (Debian, Ubuntu)"
fi
echo "$wanted" >"$stamp"
echo "setup: done in $SECONDS s"
