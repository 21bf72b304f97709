#!/bin/sh
# Writes the generated Python tree in clients/python/llmgateway from protos/.
# With --check it writes nothing and fails if the tree is not what it would write.
set -eu
cd "$(dirname "$0")/.."

for tool in .venv/bin/buf .venv-codegen/bin/python; do
  if [ ! -x "$tool" ]; then
    echo "$tool is missing: call this by 'make generate', which makes both environments" >&2
    exit 2
  fi
done

tree=clients/python
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
.venv/bin/buf generate --output "$fresh"

# mypy_grpc writes a stub without content for every file without services.
for stub in "$fresh/$tree"/llmgateway/*/*_pb2_grpc.pyi "$fresh/$tree"/llmgateway/*/*/*_pb2_grpc.pyi; do
  [ -e "${stub%i}" ] || rm -f "$stub"
done

generated() { (cd "$1" && find llmgateway -name '*_pb2*.py' -o -name '*_pb2*.pyi' | sort); }
generated "$fresh/$tree" > "$fresh/new"
generated "$tree" > "$fresh/old"

if [ "${1-}" = --check ]; then
  stale=$(
    diff "$fresh/old" "$fresh/new" | sed -n 's/^< /no longer generated: /p; s/^> /missing: /p'
    comm -12 "$fresh/old" "$fresh/new" | while read -r file; do
      cmp -s "$tree/$file" "$fresh/$tree/$file" || echo "differs: $file"
    done
  )
  if [ -n "$stale" ]; then
    echo "The generated tree does not fit protos/; run 'make generate' and commit the result:" >&2
    echo "$stale" >&2
    exit 1
  fi
  exit 0
fi

comm -23 "$fresh/old" "$fresh/new" | while read -r file; do rm "$tree/$file"; done
cp -R "$fresh/$tree/llmgateway" "$tree/"
for package in $(xargs -n 1 dirname < "$fresh/new" | sort -u); do
  [ -e "$tree/$package/__init__.py" ] || : > "$tree/$package/__init__.py"
done
