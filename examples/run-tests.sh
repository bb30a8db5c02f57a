#!/usr/bin/env bash
# As an author's package meets its users: Ikto and each example are built, installed from their wheels into a clean
# environment, found by `ikto plugins`, and tested there, outside of the source tree.
# Needs `make lint` to have made .venv, for it builds with what is there.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python
there=$(mktemp -d)
trap 'rm -rf "$there"' EXIT

# Build the wheel of a directory; what the build says is only of interest if it fails.
wheel() {
  "$python" -m build --no-isolation --wheel --outdir "$there/wheels" "$1" >"$there/log" 2>&1 || { cat "$there/log"; exit 1; }
}

wheel .
for example in examples/*/; do
  wheel "$example"
  mkdir "$there/$(basename "$example")"
  cp -r "$example/pyproject.toml" "$example/tests" "$there/$(basename "$example")"
done

python3 -m venv "$there/venv"
# Versions only: a constraint with a hash would ask for one of Ikto's own wheel, too.
sed -n 's/^\([a-z0-9_-]*==[^ ]*\).*/\1/p' constraints.txt >"$there/constraints.txt"
"$there/venv/bin/pip" install --quiet --constraint "$there/constraints.txt" \
  "$(ls "$there"/wheels/ikto-0*.whl)[testing]" $(ls "$there"/wheels/*.whl | grep -v '/ikto-0')
