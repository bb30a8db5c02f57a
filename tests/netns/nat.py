"""A host behind another that translates addresses: hosts outside see the address of the outer one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from ikto_core.lab.network import Host, remove_namespace, run

ROUTER, INSIDE = "192.168.77.1", "192.168.77.2"

MASQUERADE = """
table ip nat {
    chain outwards {
        type nat hook postrouting priority srcnat
        oifname "eth0" masquerade
    }
}
"""


@contextmanager
def behind(router: Host) -> Iterator[Host]:
    """Make a host that reaches the others through `router` alone; it is gone when the block ends."""
    inner = Host(f"{router.namespace}-in", INSIDE)
    run("ip", "netns", "add", inner.namespace)
    try:
        router.run("ip", "link", "add", "inner", "type", "veth", "peer", "name", "eth0", "netns", inner.namespace)
        router.run("ip", "address", "add", f"{ROUTER}/24", "dev", "inner")
        router.run("ip", "link", "set", "inner", "up")
        for link in ("lo", "eth0"):
            inner.run("ip", "link", "set", link, "up")
        inner.run("ip", "address", "add", f"{INSIDE}/24", "dev", "eth0")
        inner.run("ip", "route", "add", "default", "via", ROUTER)
        router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        subprocess.run([*router.exec_prefix, "nft", "-f", "-"], input=MASQUERADE, text=True, check=True)
        yield inner
    finally:
        remove_namespace(inner.namespace)
