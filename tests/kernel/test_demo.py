"""The demo finds the kernel's WireGuard, and takes it."""

from ikto_core.demo.capabilities import choose, probe_machine
from ikto_core.lab.network import namespaces


def test_the_demo_uses_the_kernels_wireguard_and_leaves_nothing_behind() -> None:
    before = namespaces()
    machine = probe_machine()
    assert machine.kernel_wireguard
    assert choose(machine, None).backend == "netlink"
    assert namespaces() == before
