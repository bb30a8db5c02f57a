#!/usr/bin/env bash
# Tests Ikto as the authors of plugins and their users get it: builds Ikto and each package in examples/, installs the wheels
# into a clean environment, checks that `ikto plugins` lists them, and runs their tests and the type checks outside the source
# tree. The build tool and the type checkers are those in .venv (make lint).
#
#     examples/run-tests.sh            # the examples of this source
#     examples/run-tests.sh v0.4.0     # those of an earlier version, by its git tag, with the Ikto of this source
#
# Each example finds those names of the public modules only that docs/promised has for the version which it requires.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin
there=$(mktemp -d)
trap 'rm -rf "$there"' EXIT
root=$PWD
source=$root
if [ $# != 0 ]; then
  source=$there/source
  mkdir "$source"
  git archive "$1" examples tests/typing | tar -x -C "$source"
fi
examples=$(for project in "$source"/examples/*/pyproject.toml; do basename "$(dirname "$project")"; done)
distributions=$(sed -n 's/^name = "\(.*\)"/\1/p' "$source"/examples/*/pyproject.toml)

build() {  # prints the build log only if the build fails
  "$bin/python" -m build --no-isolation --wheel --outdir "$there/wheels" "$1" >"$there/log" 2>&1 || { cat "$there/log"; exit 1; }
}

install() {
  build .
  for example in $examples; do build "$source/examples/$example"; done
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

# Print the file with the promise of the version of Ikto that an example requires.
promised() {
  local required
  required=$(sed -n 's/.*"ikto>=\([0-9]*\.[0-9]*\).*/\1/p' "$source/examples/$1/pyproject.toml" | head -n 1)
  ls "$root/docs/promised/$required.txt"
}

run_tests() {
  mkdir "$there/promised"
  cp tools/promised_doors.py "$there/promised"
  for example in $examples; do
    echo "--- $example"
    mkdir "$there/$example"
    cp -r "$source/examples/$example/pyproject.toml" "$source/examples/$example/tests" "$there/$example"
    local doors
    doors=$(promised "$example")
    (cd "$there/$example" && PROMISED_DOORS=$doors PYTHONPATH=$there/promised \
      "$there/venv/bin/pytest" -p promised_doors -p no:cacheprovider)
  done
}

# Check the same files with both type checkers in strict mode, against the installed Ikto: this also tests its py.typed.
check_types() {
  mkdir "$there/types"
  cp -r "$source/tests/typing" "$there/types/ikto"
  mv "$there/types/ikto/pyrightconfig.json" "$there/types"
  for example in $examples embedding; do cp -r "$source/examples/$example" "$there/types"; done
  for project in "$there"/types/*/; do
    (cd "$project" && "$bin/mypy" --strict --cache-dir "$there/cache" --python-executable "$there/venv/bin/python" .)
  done
  "$bin/basedpyright" --project "$there/types" --pythonpath "$there/venv/bin/python"
}

install
find_plugins
check_types
run_tests
