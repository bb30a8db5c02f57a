#!/usr/bin/env bash
# system-packages.sh PACKAGE[:PROGRAM]...: install the system packages that are missing.
#
# A package counts as installed if its PROGRAM is on the PATH; without PROGRAM, if dpkg lists it as installed.
# On Debian and Ubuntu, root installs missing packages; other users get the command to run.
# Exit status 1: some packages are still missing; standard error names them.
set -uo pipefail

PATH=$PATH:/usr/sbin:/sbin  # missing in the PATH of many users

is_installed() {
    case $1 in
    *:*) command -v "${1#*:}" >/dev/null ;;
    *) dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed ;;
    esac
}

say() { echo "system packages: $*" >&2; }

missing=()
for package in "$@"; do
    is_installed "$package" || missing+=("${package%%:*}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

install=(apt-get install --yes --no-install-recommends "${missing[@]}")
if ! command -v apt-get >/dev/null; then
    say "continuing without (Debian package names): ${missing[*]}"
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    say "continuing without ${missing[*]}; to install: sudo apt-get update && sudo ${install[*]}"
    exit 1
fi

say "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
timeouts=(-o DPkg::Lock::Timeout=60 -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
apt-get update "${timeouts[@]}" >"$log" 2>&1  # not fatal: the existing package lists may be sufficient
if ! "${install[@]}" "${timeouts[@]}" >>"$log" 2>&1 </dev/null; then
    tail -n 5 "$log" >&2
    say "continuing without ${missing[*]}; to try again: apt-get update && ${install[*]}"
    exit 1
fi
