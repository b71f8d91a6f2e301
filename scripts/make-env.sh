#!/usr/bin/env bash
# Makes .env out of .env.example with random secrets, when there is none; an existing .env is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -e .env ]; then exit 0; fi
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
umask 077
made=.env.$$
trap 'rm -f "$made"' EXIT
while IFS= read -r line; do
  case $line in
    '#RINGOVER_WEBHOOK_SECRET='* | '#ADMIN_TOKEN='* | '#STREAMER_TOKEN='* | '#REDIS_PASSWORD='*)
      name=${line%%=*}
      echo "${name#\#}=$(random)"
      ;;
    *) printf '%s\n' "$line" ;;
  esac
done <.env.example >"$made"
mv "$made" .env
echo "made .env with secrets of its own; put Ringover's webhook key and your keys into it"
