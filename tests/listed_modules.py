"""`ikto` as a program that lists the modules that it has imported when it ends."""

import sys
from pathlib import Path

NEVER_IN_AN_AGENT = {
    "aiohttp",
    "rich",
    "pyroute2",
    "prometheus_client",  # before it is asked for metrics
    "http.server",
    "http.client",
    "multiprocessing",
    "unittest",
    "pytest",
    "hypothesis",
    "ikto_core.client",
    "ikto_core.demo",
    "ikto_core.lab",
    "ikto_core.testing",
    "ikto_backends.netlink",
    "ikto_backends.wgtool",
}
"""Modules that an agent with the backend `fake` must not have: each takes memory for as long as it runs."""

_LISTING = """
import atexit, sys
atexit.register(lambda: open({path!r}, "w").write(" ".join(sys.modules)))
from ikto_core.cli.main import main
main()
"""


def listing(path: Path) -> list[str]:
    """Return the command that runs `ikto` and writes the modules to this path."""
    return [sys.executable, "-c", _LISTING.format(path=str(path))]


def modules_in(path: Path) -> set[str]:
    """Return the modules that were written."""
    return set(path.read_text().split())
