#!/usr/bin/env bash
# install-locked.sh [--project DIRECTORY] VENV LOCK...: install exactly what the locks pin into VENV, which is made if it isn't there.
#
# Nothing is resolved: a lock is complete, pip gets --no-deps, and `pip check` then names what a lock forgot. What has no
# wheel is built with what VENV has by then, so the lock of the build tools comes first. DIRECTORY is installed last, editable.
# A lock that VENV has already is left alone; if one has changed, VENV is made anew, since nothing is ever uninstalled. A run that
# is interrupted or fails leaves VENV marked, and the next one makes it anew.
set -euo pipefail

project=
[ "$1" != --project ] || { project=$2; shift 2; }
venv=$1
shift
python=${PYTHON:-python3}
unfinished=$venv/.unfinished
parts=$venv/.parts
installed=$venv/.installed
export PIP_DISABLE_PIP_VERSION_CHECK=1

# The pip of $python is lent to VENV where there is one: to unpack another, as venv does, takes longer than all the rest.
make_venv() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "install-locked.sh: Ikto needs Python 3.11 or later, and $python is $("$python" -V); choose: make PYTHON=..." >&2
        exit 1
    }
    mkdir -p "$venv" && touch "$unfinished"
    local pip
    if pip=$("$python" -c 'import pip; print(*pip.__path__)' 2>/dev/null); then
        "$python" -m venv --without-pip "$venv"
        ln -sfn "$pip" "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/pip"
    else
        "$python" -m venv "$venv"
    fi
}

pip() { "$venv/bin/python" -m pip "$@"; }

# Whether VENV has another version of a lock.
has_changed() { [ -e "$installed/${1##*/}" ] && ! cmp --silent "$1" "$installed/${1##*/}"; }

# Into a directory of its own: two at a time must not write to one.
install_part() {
    mkdir -p "$parts/$1/lib" && ln -s lib "$parts/$1/lib64"  # as VENV has it: some distributions install into lib64
    pip install --quiet --no-warn-script-location --no-compile --prefix "$parts/$1" \
        --require-hashes --no-deps --no-build-isolation -r "$parts/$1.txt"
}

# pip reads the index page by page, one after the other; two halves of a lock side by side take little more than half as long.
install_lock() {
    [ ! -e "$installed/${1##*/}" ] || return 0
    rm -rf "$parts" && mkdir -p "$parts" "$installed"
    awk -v parts="$parts" '/^[a-z0-9]/ { half = !half } half != "" { print >(parts "/" half ".txt") }' "$1"
    local half jobs=() failed=
    for half in 0 1; do
        [ ! -e "$parts/$half.txt" ] || { install_part "$half" & jobs+=($!); }
    done
    for half in "${jobs[@]}"; do wait "$half" || failed=1; done
    [ -z "$failed" ]
    for half in "$parts"/[01]/; do
        [ -d "$half" ] || continue
        rm -f "$half/lib64"
        cp --archive --link --force "$half." "$venv"
    done
    rm -rf "$parts"
    cp "$1" "$installed"
}

trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
for lock in "$@"; do ! has_changed "$lock" || touch "$unfinished"; done
[ ! -e "$unfinished" ] || rm -rf "$venv"
[ -x "$venv/bin/python" ] || make_venv
touch "$unfinished"
for lock in "$@"; do install_lock "$lock"; done
[ -z "$project" ] || pip install --quiet --no-deps --no-build-isolation --editable "$project"
pip check
rm "$unfinished"
