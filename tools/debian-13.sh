#!/usr/bin/env bash
# debian-13.sh TESTS...: `make demo` and these tests of a clean clone, in a Debian 13 (trixie, Python 3.13) made for it.
#
# Needs root and a mirror of Debian among this machine's apt sources; where it can't be had it says so and ends with status 70.
# The system is a directory below $TMPDIR, entered by chroot in mount and process namespaces of its own: whatever runs or is
# mounted there ends with them, and the directory is removed. pip is configured there as it is here.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=trixie
packages=ca-certificates,make,python3-venv
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

give_up() {
    echo "debian-13.sh: NO SYSTEM, so nothing was tested: $*" >&2
    exit 70
}

# Where apt has this machine's own Debian from: apt reads both forms of its sources (.list and .sources).
mirror() {
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 ~ /^https?:/ && $3 !~ /-/ { print $2; exit }'
}

make_system() {
    [ "$(id -u)" = 0 ] || give_up "only root can make one"
    packaging/system-packages.sh debootstrap debian-archive-keyring || give_up "debootstrap is not installed"
    local mirror
    mirror=$(mirror)
    [ -n "$mirror" ] || give_up "apt has no mirror of Debian"
    debootstrap --variant=minbase --keyring="$keyring" --include="$packages" "$suite" "$root" "$mirror" >"$work/log" 2>&1 ||
        give_up "debootstrap failed: $(tail -n 3 "$work/log")"
}

# Certificates, pip's and apt's configuration, directories of packages: all of it generic, whatever this machine has.
copy_configuration() {
    local path paths=(/etc/resolv.conf /etc/hosts /etc/ssl/certs /usr/share/ca-certificates /usr/local/share/ca-certificates)
    paths+=(/etc/pip.conf /etc/xdg/pip "$HOME/.pip" "$HOME/.config/pip" ${PIP_CONFIG_FILE:-} ${PIP_CERT:-} ${SSL_CERT_FILE:-})
    for path in ${PIP_FIND_LINKS:-}; do paths+=("${path#file://}"); done
    for path in "${paths[@]}"; do
        [ ! -e "$path" ] || { mkdir -p "$root${path%/*}" && cp --recursive --dereference --remove-destination --no-target-directory "$path" "$root$path"; }
    done
    apt-config dump Acquire >"$root/etc/apt/apt.conf.d/90acquire"
}

# What is committed, and nothing else of this directory.
copy_tree() {
    git clone --quiet --no-hardlinks . "$root/ikto"
}

run_inside() {
    local variable kept=(PATH=/usr/sbin:/usr/bin:/sbin:/bin "HOME=$HOME" LANG=C.UTF-8)
    for variable in $(compgen -e | grep -iE '^(PIP_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|(HTTPS?|ALL|NO)_PROXY|CI)$'); do
        kept+=("$variable=${!variable}")
    done
    mkdir -p "$root$HOME"
    unshare --mount --pid --fork --kill-child --propagation private -- bash -euc '
        root=$1; shift
        mount --bind "$root" "$root"  # a mount point, without which `ip netns exec` does nothing there
        mount -t proc proc "$root/proc"
        mount --rbind /sys "$root/sys"
        mount --rbind /dev "$root/dev"
        exec chroot "$root" "$@"
    ' bash "$root" env --ignore-environment "${kept[@]}" bash -euxc '
        cd /ikto
        python3 --version
        make demo
        make test ARGS="-n 2 --dist loadfile $*"
    ' bash "$@"
}

work=$(mktemp -d)
root=$work/system
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM
make_system
copy_configuration
copy_tree
run_inside "$@"
