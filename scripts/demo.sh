#!/usr/bin/env bash
# Starts the gateway with the embedded model on a free port, streams one answer through it with
# the client's command and one through the Sentient bridge, and stops both. Exit status 0 only if
# every step worked.
set -euo pipefail
cd "$(dirname "$0")/.."

prompt=${1:-In two sentences: why is the sky blue?}
logs=$(mktemp -d)
server=
bridge=

cleanup() {
  [ -z "$bridge" ] || kill -KILL "$bridge" 2> /dev/null || true
  [ -z "$server" ] || kill -KILL "$server" 2> /dev/null || true
  rm -rf "$logs"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  echo "demo: $1; the servers said:" >&2
  cat "$logs"/* >&2
  exit 1
}

# Prints the address that a program announces in its log.
address_of() {
  local log=$1 process=$2 address
  for _ in $(seq 600); do
    address=$(sed -n 's/.*ready on \([^ ,]*\).*/\1/p' "$log" | head -n 1)
    if [ -n "$address" ]; then
      echo "$address"
      return
    fi
    kill -0 "$process" 2> /dev/null || return 1
    sleep 0.1
  done
  return 1
}

echo "Starting llmgateway-server with the embedded model (SmolLM2-135M on llama.cpp) ..."
.venv/bin/llmgateway-server serve --demo --listen 127.0.0.1:0 > "$logs/server" 2>&1 &
server=$!
address=$(address_of "$logs/server" "$server") || fail "the server was not ready within 60 s"
.venv/bin/llmgateway health --address "$address" || fail "the health check failed"

echo
echo "\$ llmgateway chat --address $address --max-tokens 80 \"$prompt\""
# A model this small may never find its end by itself.
.venv/bin/llmgateway chat --address "$address" --max-tokens 80 "$prompt" || fail "the call failed"

echo
echo "\$ llmgateway bridge --gateway $address --listen 127.0.0.1:0"
.venv/bin/llmgateway bridge --gateway "$address" --listen 127.0.0.1:0 > "$logs/bridge" 2>&1 &
bridge=$!
url=$(address_of "$logs/bridge" "$bridge") || fail "the bridge was not ready within 60 s"
echo
echo "\$ curl -N $url/assist -H 'content-type: application/json' -d '{\"query\": {...}}'"
.venv/bin/python scripts/demo_assist.py "$url" "$prompt" || fail "the bridge gave no answer"

kill -TERM "$bridge"
wait "$bridge" || fail "the bridge did not stop cleanly"
bridge=
kill -TERM "$server"
wait "$server" || fail "the server did not stop cleanly"
server=
