#!/usr/bin/env bash
# What authors and their users get: Ikto and each package in examples/ are built, installed from their wheels into a clean
# environment, found there by `ikto plugins`, and tested outside of the source tree; so are Ikto's types.
# Builds and type checkers are those of .venv (make lint).
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin
there=$(mktemp -d)
trap 'rm -rf "$there"' EXIT
examples=$(for project in examples/*/pyproject.toml; do basename "$(dirname "$project")"; done)

build() {  # what it prints matters only if it fails
  "$bin/python" -m build --no-isolation --wheel --outdir "$there/wheels" "$1" >"$there/log" 2>&1 || { cat "$there/log"; exit 1; }
}

install() {
  build .
  for example in $examples; do build "examples/$example"; done
  python3 -m venv "$there/venv"
  sed -n 's/^\([a-z0-9_-]*==[^ ]*\).*/\1/p' constraints.txt >"$there/constraints.txt"
  local ikto=("$there"/wheels/ikto-*.whl) others=("$there"/wheels/ikto_*.whl)
  "$there/venv/bin/pip" install --quiet --constraint "$there/constraints.txt" "${ikto[0]}[testing]" "${others[@]}"
}

# Each example's plugins are listed with its distribution, and are well.
find_plugins() {
  "$there/venv/bin/ikto" plugins
  "$there/venv/bin/ikto" plugins --json | "$there/venv/bin/python" -c '
import json, sys
rows = json.load(sys.stdin)
for example in sys.argv[1:]:
    found = [row for row in rows if row["distribution"] == example]
    assert found and all(row["status"] == "ok" for row in found), (example, found)
' $examples
}

run_tests() {
  for example in $examples; do
    echo "--- $example"
    mkdir "$there/$example"
    cp -r "examples/$example/pyproject.toml" "examples/$example/tests" "$there/$example"
    (cd "$there/$example" && "$there/venv/bin/pytest" -p no:cacheprovider)
  done
}

# The same files under both checkers, strictly, with Ikto as it is installed: without py.typed it would have no types.
check_types() {
  mkdir "$there/types"
  cp -r tests/typing "$there/types/ikto"
  mv "$there/types/ikto/pyrightconfig.json" "$there/types"
  for example in $examples embedding; do cp -r "examples/$example" "$there/types"; done
  for project in "$there"/types/*/; do
    (cd "$project" && "$bin/mypy" --strict --cache-dir "$there/cache" --python-executable "$there/venv/bin/python" .)
  done
  "$bin/basedpyright" --project "$there/types" --pythonpath "$there/venv/bin/python"
}

install
find_plugins
check_types
run_tests
