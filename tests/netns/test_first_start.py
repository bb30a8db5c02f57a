"""A first start whose device can't be made claims nothing; a node that has a claim tries again until it can be made."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from shutil import which
from socket import AF_INET6, SOCK_DGRAM, socket

import pytest

from ikto_core.admin.views import AgentState
from ikto_core.lab.first_contact import PATIENCE_S, mesh_of, start, status_of
from ikto_core.lab.hosted import HostedMesh, HostedNode, converged
from tests.e2e.conftest import eventually
from tests.netns.mesh import USERSPACE

pytestmark = USERSPACE


@pytest.fixture
def alone() -> Iterator[HostedMesh]:
    """A bucket, and a node that was never started."""
    with mesh_of(1) as mesh:
        yield mesh


@contextmanager
def no_permission(node: HostedNode) -> Iterator[None]:
    command = node.agent._command
    prefix = len(node.host.exec_prefix)
    drop = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-all", "--ambient-caps=-all")
    node.agent._command = (*command[:prefix], *drop, *command[prefix:])
    yield
    node.agent._command = command


@contextmanager
def no_program(node: HostedNode) -> Iterator[None]:
    """On its PATH is only what brings the agent to its host."""
    programs, environ = node.agent.directory / "programs", node.agent._environ
    programs.mkdir(exist_ok=True)
    (programs / "ip").symlink_to(str(which("ip")))
    node.agent._environ = {**environ, "PATH": str(programs)}
    yield
    node.agent._environ = environ
    (programs / "ip").unlink()


@contextmanager
def another_kind(node: HostedNode) -> Iterator[None]:
    node.host.run("ip", "link", "add", node.ifname, "type", "bridge")
    yield
    node.host.run("ip", "link", "del", node.ifname)


@contextmanager
def port_in_use(node: HostedNode) -> Iterator[None]:
    port = int(str(node.agent.config["wg_port"]))
    with node.host.call(lambda: _bound(port)):
        yield


def _bound(port: int) -> socket:
    held = socket(AF_INET6, SOCK_DGRAM)
    held.bind(("::", port))
    return held


OF_THE_PROCESS = {no_permission, no_program}
"""Obstacles that a process has for as long as it lives."""

HINTS = ("CAP_NET_ADMIN", "install the package wireguard-go", "Choose another name", "Choose another wg_port")

OBSTACLES = pytest.mark.parametrize("obstacle", [no_permission, no_program, another_kind, port_in_use])


@OBSTACLES
def test_a_first_start_ends_with_exit_code_6_and_a_hint_and_leaves_no_record(
    obstacle: Callable[[HostedNode], AbstractContextManager[None]], alone: HostedMesh
) -> None:
    (node,) = alone.nodes
    with obstacle(node):
        node.agent.start()
        assert node.agent.wait(PATIENCE_S) == 6, node.agent.log_text()
    (said,) = [line for line in node.agent.log_text().splitlines() if line.startswith("ikto: ")]
    assert any(hint in said for hint in HINTS)
    assert alone.record_times() == {}


@OBSTACLES
def test_a_node_with_a_claim_says_why_its_device_is_missing_and_makes_it_once_it_can(
    obstacle: Callable[[HostedNode], AbstractContextManager[None]], alone: HostedMesh
) -> None:
    (node,) = alone.nodes
    start([node])
    node.agent.stop()
    node.host.run("ip", "link", "del", node.ifname)
    with obstacle(node):
        node.agent.start()
        eventually(lambda: node.agent.log_text().count("sync failed") > 1)
        assert any(hint in node.agent.log_text() for hint in HINTS)
        assert (status := status_of(node))
        assert status.state is AgentState.DEGRADED
        assert status.device_failure
        assert status.device is None or not status.device.up
    if obstacle not in OF_THE_PROCESS:
        eventually(lambda: converged([status_of(node)]))
