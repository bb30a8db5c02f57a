#!/usr/bin/env bash
# vm.sh COMMAND...: run COMMAND in this directory as root, in an emulated machine whose kernel has WireGuard.
#
# virtme-ng (on PATH) boots a Debian or Ubuntu kernel on this machine's own root file system, read-only; what COMMAND
# writes outside of the machine's own /tmp is lost. Output and exit status come through files: a serial console loses
# both. Exit status 70: the machine could not be had. Ending vm.sh ends the machine.
set -euo pipefail

cache=${IKTO_VM_CACHE:-${HOME:-/tmp}/.cache/ikto-vm}
# Not Debian's cloud kernel (it has no 9p), not the rt kernel (it removes peers 100 times slower).
kernel_package=${IKTO_VM_KERNEL:-}
memory=${IKTO_VM_MEMORY:-1G}
processors=${IKTO_VM_PROCESSORS:-1}  # two panicked now and then
boot_timeout_s=${IKTO_VM_BOOT_TIMEOUT_S:-180}
timeout_s=${IKTO_VM_TIMEOUT_S:-2400}

give_up() {
    echo "vm.sh: NO MACHINE, so nothing was tested: $*" >&2
    exit 70
}

# Package mirrors fail now and then.
persistently() {
    local pause_s
    for pause_s in 5 20 60 0; do
        timeout 900 "$@" >"$cache/apt.log" 2>&1 && return
        echo "vm.sh: failed: $*: $(tail -1 "$cache/apt.log")" >&2
        sleep "$pause_s"
    done
    return 1
}

update_package_lists() {
    persistently apt-get update || echo "vm.sh: going on with the package lists that are here" >&2
}

install_programs() {
    local packages=(qemu-system-x86 busybox-static kmod file iproute2 iputils-ping wireguard-tools wireguard-go)
    local missing=()
    for package in "${packages[@]}"; do
        dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local install="apt-get install --yes --no-install-recommends ${missing[*]}"
    [ "$(id -u)" = 0 ] || give_up "as root, first run: $install"
    echo "vm.sh: installing ${missing[*]}" >&2
    update_package_lists
    DEBIAN_FRONTEND=noninteractive persistently $install || give_up "$install failed"
}

# The first of these packages that there is: Debian's, Ubuntu's.
default_kernel() {
    local package
    for package in linux-image-amd64 linux-image-generic; do
        ! apt-cache show "$package" >/dev/null 2>&1 || { echo "$package"; return; }
    done
}

# The packages that have the kernel's files, of all that `kernel_package` names: Ubuntu has its modules in others.
kernel_parts() {
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
        "$kernel_package" | grep -E '^linux-(image|binary|modules|modules-extra)-[0-9]'
}

# Downloaded and unpacked, not installed: no initramfs is built, and this machine's own boot stays as it is.
fetch_kernel() {
    ! compgen -G "$cache/kernel/boot/vmlinuz-*" >/dev/null || return 0
    [ "$(id -u)" != 0 ] || update_package_lists
    kernel_package=${kernel_package:-$(default_kernel)}
    local parts package
    parts=$(kernel_parts) || give_up "no package has a kernel: ${kernel_package:-linux-image-amd64, linux-image-generic}"
    echo "vm.sh: downloading" $parts >&2
    rm -rf "$cache/download" "$cache/unpacked" "$cache/kernel"
    mkdir "$cache/download"
    (cd "$cache/download" && persistently apt-get download $parts) || give_up "the kernel can't be downloaded"
    for package in "$cache"/download/*.deb; do
        dpkg-deb --extract "$package" "$cache/unpacked"
    done
    mv "$cache/unpacked" "$cache/kernel"
    rm -rf "$cache/download"
}

# The root file system is slow to read: each access asks the host. `loose` caches, which is right for what stays.
write_guest_script() {
    local directory
    cat <<GUEST
set -e
touch $(printf %q "$run/started")
modprobe --all wireguard veth bridge dummy tun sch_netem
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

# Emulated even where there is /dev/kvm: on nested hosts it may be there in name only, and the kernel hangs half-way.
boot() {
    local kernels=("$cache"/kernel/boot/vmlinuz-*)
    # A pipe, not a file: qemu opens standard output again, and truncates it.
    timeout --kill-after=10 "$timeout_s" vng --run "${kernels[0]}" \
        --disable-kvm --user root --force-9p --memory "$memory" --cpus "$processors" --rwdir="$run" \
        -o="-fsdev local,id=loose,path=/,security_model=none,readonly=on,multidevs=remap" \
        -o="-device virtio-9p-pci,fsdev=loose,mount_tag=loose" \
        -- "bash $run/guest.sh" </dev/null > >(cat >"$run/console") 2>&1 &
    machine=$!
    local waited_s
    for ((waited_s = 0; waited_s < boot_timeout_s; waited_s++)); do
        [ ! -e "$run/started" ] && kill -0 "$machine" 2>/dev/null || break
        sleep 1
    done
    [ -e "$run/started" ] || kill "$machine" 2>/dev/null || true
    wait "$machine" || true
}

clean_up() {
    kill ${machine:-} ${tail_pid:-} 2>/dev/null || true
    wait
    rm -rf "$run"
}

mkdir -p "$cache"
install_programs
fetch_kernel
run=$(mktemp -d "$cache/run.XXXXXX")
trap clean_up EXIT
trap 'exit 143' TERM INT HUP  # at once, not when the machine ends
write_guest_script "$@" >"$run/guest.sh"
touch "$run/output"
tail --follow --lines=+1 "$run/output" &
tail_pid=$!
for attempt in 1 2 3; do  # an emulated boot fails now and then
    began_s=$SECONDS
    boot
    [ ! -e "$run/started" ] || break
    echo "vm.sh: the machine did not reach its user space (attempt $attempt)" >&2
done
sleep 1.5  # tail looks once a second
[ -e "$run/status" ] || { tail -30 "$run/console" >&2; give_up "it ended or was ended after $((SECONDS - began_s)) s"; }
echo "vm.sh: the machine ran for $((SECONDS - began_s)) s" >&2
exit "$(cat "$run/status")"
