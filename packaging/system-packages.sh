#!/usr/bin/env bash
# system-packages.sh PACKAGE[:PROGRAM]...: see to it that these system packages are installed.
#
# A package is there if its PROGRAM is on the PATH, whoever brought it; without PROGRAM, if dpkg knows it as installed.
# Missing ones are installed by root on Debian, Ubuntu and the like; otherwise the command that does it is printed.
# Exit status 1: some are still missing, and standard error says which.
set -uo pipefail

PATH=$PATH:/usr/sbin:/sbin  # not everybody's PATH has them

is_there() {
    case $1 in
    *:*) command -v "${1#*:}" >/dev/null ;;
    *) dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed ;;
    esac
}

say() { echo "system packages: $*" >&2; }

missing=()
for package in "$@"; do
    is_there "$package" || missing+=("${package%%:*}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

install=(apt-get install --yes --no-install-recommends "${missing[@]}")
if ! command -v apt-get >/dev/null; then
    say "going on without these (Debian's names): ${missing[*]}"
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    say "going on without ${missing[*]}; to install: sudo apt-get update && sudo ${install[*]}"
    exit 1
fi

say "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
patience=(-o DPkg::Lock::Timeout=60 -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
apt-get update "${patience[@]}" >"$log" 2>&1  # if it fails, older lists may do
if ! "${install[@]}" "${patience[@]}" >>"$log" 2>&1 </dev/null; then
    tail -n 5 "$log" >&2
    say "going on without ${missing[*]}; to try again: apt-get update && ${install[*]}"
    exit 1
fi
