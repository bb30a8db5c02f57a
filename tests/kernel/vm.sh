#!/usr/bin/env bash
# vm.sh COMMAND...: run COMMAND in this directory as root, in an emulated machine whose kernel has WireGuard.
#
# virtme-ng (on PATH) boots a Debian kernel on this machine's own root file system, read-only; what COMMAND writes
# outside of the machine's own /tmp is lost. Output and exit status come through files: a serial console loses both.
# Exit status 70: the machine did not start.
set -euo pipefail

cache=${IKTO_VM_CACHE:-$HOME/.cache/ikto-vm}
# Not the cloud kernel (it has no 9p), not the rt kernel (it removes peers 100 times slower).
kernel_package=${IKTO_VM_KERNEL:-linux-image-amd64}
memory=${IKTO_VM_MEMORY:-1G}
timeout_s=${IKTO_VM_TIMEOUT_S:-1500}

install_programs() {
    local packages=(qemu-system-x86 busybox-static kmod file iproute2 iputils-ping wireguard-tools wireguard-go)
    local missing=()
    for package in "${packages[@]}"; do
        dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local install="apt-get install --yes --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        echo "vm.sh: as root, first run: $install" >&2
        exit 70
    fi
    echo "vm.sh: installing ${missing[*]}" >&2
    { apt-get update && DEBIAN_FRONTEND=noninteractive $install; } >"$cache/apt.log" 2>&1 ||
        { tail -20 "$cache/apt.log" >&2; exit 70; }
}

# Downloaded and unpacked, not installed: no initramfs is built, and this machine's own boot stays as it is.
fetch_kernel() {
    compgen -G "$cache/kernel/boot/vmlinuz-*" >/dev/null && return
    local image
    [ "$(id -u)" != 0 ] || apt-get update >"$cache/apt.log" 2>&1 || cat "$cache/apt.log" >&2
    image=$(apt-cache depends "$kernel_package" | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\).*/\1/p' | head -1)
    echo "vm.sh: downloading ${image:=$kernel_package}" >&2
    rm -rf "$cache/download" "$cache/kernel" "$cache/unpacked"
    mkdir "$cache/download"
    (cd "$cache/download" && apt-get --quiet --quiet download "$image")
    dpkg-deb --extract "$cache"/download/*.deb "$cache/unpacked"
    mv "$cache/unpacked" "$cache/kernel"
    rm -rf "$cache/download"
}

# The root file system is slow to read: each access asks the host. `loose` caches, which is right for what stays.
write_guest_script() {
    local directory
    cat <<GUEST
set -e
touch $(printf %q "$run/started")
modprobe --all wireguard veth bridge dummy
mkdir -p /run/loose
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro loose /run/loose
GUEST
    for directory in /usr "$PWD"; do
        printf 'mkdir -p %q; mount --bind %q %q\n' "$directory" "/run/loose$directory" "$directory"
    done
    printf 'set +e; export PATH=%q HOME=/root PYTHONDONTWRITEBYTECODE=1 IKTO_TEST_VM=1\n' "$PATH"
    printf 'cd %q && %s >%q 2>&1\n' "$PWD" "$(printf '%q ' "$@")" "$run/output"
    printf 'echo $? >%q; sync\n' "$run/status"
}

boot() {
    # One processor: two panicked now and then. A pipe, not a file: qemu opens standard output again, and truncates it.
    timeout --kill-after=10 "$timeout_s" vng --run "$(echo "$cache"/kernel/boot/vmlinuz-*)" \
        --disable-kvm --user root --force-9p --memory "$memory" --cpus 1 --rwdir="$run" \
        -o="-fsdev local,id=loose,path=/,security_model=none,readonly=on,multidevs=remap" \
        -o="-device virtio-9p-pci,fsdev=loose,mount_tag=loose" \
        -- "bash $run/guest.sh" </dev/null 2>&1 | cat >"$run/console"
}

mkdir -p "$cache"
install_programs
fetch_kernel
run=$(mktemp -d "$cache/run.XXXXXX")
trap 'rm -rf "$run"; kill "${tail_pid:-}" 2>/dev/null || true' EXIT
write_guest_script "$@" >"$run/guest.sh"
touch "$run/output"
tail --follow --lines=+1 "$run/output" &
tail_pid=$!
for attempt in 1 2 3; do  # an emulated boot fails now and then
    boot || true
    [ ! -e "$run/started" ] || break
    echo "vm.sh: the machine did not reach its user space (attempt $attempt)" >&2
done
sleep 1.5  # tail looks once a second
[ -e "$run/status" ] || { tail -30 "$run/console" >&2; exit 70; }
exit "$(cat "$run/status")"
