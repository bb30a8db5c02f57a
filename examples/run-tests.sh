#!/usr/bin/env bash
# Tests Ikto as the authors of plugins and their users get it: builds Ikto and each package in examples/, installs the wheels
# into a clean environment, checks that `ikto plugins` lists them, and runs their tests and the type checks outside the source
# tree. The build tool and the type checkers are those in .venv (make lint).
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin
there=$(mktemp -d)
trap 'rm -rf "$there"' EXIT
examples=$(for project in examples/*/pyproject.toml; do basename "$(dirname "$project")"; done)
distributions=$(sed -n 's/^name = "\(.*\)"/\1/p' examples/*/pyproject.toml)

build() {  # prints the build log only if the build fails
  "$bin/python" -m build --no-isolation --wheel --outdir "$there/wheels" "$1" >"$there/log" 2>&1 || { cat "$there/log"; exit 1; }
}

install() {
  build .
  for example in $examples; do build "examples/$example"; done
  python3 -m venv "$there/venv"
  sed -n 's/^\([a-z0-9_-]*==[^ ]*\).*/\1/p' requirements/develop.txt >"$there/constraints.txt"
  local ikto=("$there"/wheels/ikto-*.whl) others=("$there"/wheels/ikto_*.whl)
  "$there/venv/bin/pip" install --quiet --constraint "$there/constraints.txt" "${ikto[0]}[testing]" "${others[@]}"
}

# Each example's plugins are listed with its distribution and the status ok.
find_plugins() {
  "$there/venv/bin/ikto" plugins
  "$there/venv/bin/ikto" plugins --json | "$there/venv/bin/python" -c '
import json, sys
rows = json.load(sys.stdin)
for example in sys.argv[1:]:
    found = [row for row in rows if row["distribution"] == example]
    assert found and all(row["status"] == "ok" for row in found), (example, found)
' $distributions
}

run_tests() {
  for example in $examples; do
    echo "--- $example"
    mkdir "$there/$example"
    cp -r "examples/$example/pyproject.toml" "examples/$example/tests" "$there/$example"
    (cd "$there/$example" && "$there/venv/bin/pytest" -p no:cacheprovider)
  done
}

# Check the same files with both type checkers in strict mode, against the installed Ikto: this also tests its py.typed.
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
