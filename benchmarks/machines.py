"""Where a measure runs: on this machine, in a network namespace of its own, or in an emulated machine."""

from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent

Prefix = Sequence[str]
"""A command that runs another command there; empty: on this machine."""

HERE: Prefix = ()

_OWN_SOCKETS = (
    "ip link set lo up && mkdir -p /var/run/wireguard && mount -t tmpfs ikto /var/run/wireguard "
    '&& exec "$@"'
)  # fmt: skip
NAMESPACE: Prefix = ("unshare", "--net", "--mount", "sh", "-c", _OWN_SOCKETS, "sh")
"""A network namespace, with the kernel's WireGuard if this machine has it, otherwise a userspace one. Root only."""

EMULATED: Prefix = ("env", "IKTO_VM_PROCESSORS=2", str(ROOT / "tests/kernel/vm.sh"))
"""The machine of tests/kernel/vm.sh, whose kernel has WireGuard."""
