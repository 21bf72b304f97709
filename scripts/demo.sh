#!/usr/bin/env bash
# Starts the gateway with the embedded model on a free port, streams one answer through it with
# the client's command, and stops it. Exit status 0 only if every step worked.
set -euo pipefail
cd "$(dirname "$0")/.."

prompt=${1:-In two sentences: why is the sky blue?}
log=$(mktemp)
server=

cleanup() {
  [ -z "$server" ] || kill -KILL "$server" 2> /dev/null || true
  rm -f "$log"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  echo "demo: $1; the server said:" >&2
  cat "$log" >&2
  exit 1
}

echo "Starting llmgateway-server with the embedded model (SmolLM2-135M on llama.cpp) ..."
.venv/bin/llmgateway-server serve --demo --listen 127.0.0.1:0 > "$log" 2>&1 &
server=$!

address=
for _ in $(seq 600); do
  address=$(sed -n 's/.*ready on \([^ ]*\).*/\1/p' "$log" | head -n 1)
  [ -z "$address" ] || break
  kill -0 "$server" 2> /dev/null || fail "the server ended before it was ready"
  sleep 0.1
done
[ -n "$address" ] || fail "the server was not ready within 60 s"
.venv/bin/llmgateway health --address "$address" || fail "the health check failed"

echo
echo "\$ llmgateway chat --address $address --max-tokens 80 \"$prompt\""
# A model this small may never find its end by itself.
.venv/bin/llmgateway chat --address "$address" --max-tokens 80 "$prompt" || fail "the call failed"

kill -TERM "$server"
wait "$server" || fail "the server did not stop cleanly"
server=
