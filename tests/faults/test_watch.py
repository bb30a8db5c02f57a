"""The watch of the chaos sees what must never happen."""

import sys
from collections.abc import Iterator
from ipaddress import ip_interface
from pathlib import Path

import pytest

from ikto_backends.fake import FakeHost
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.lab.agent_process import AgentProcess, stopped_at_exit
from ikto_core.values.keys import PrivateKey, PublicKey
from tests.faults.harness import IFNAME
from tests.faults.watch import DETECTION_S, Watch

KEY, OTHER_KEY = (PrivateKey.generate().public() for _ in range(2))
SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[AgentProcess]]:
    """Two processes that do nothing, and the directories of two agents."""
    made = [AgentProcess(tmp_path / name, {"name": name}, command=SLEEPER) for name in "ab"]
    with stopped_at_exit(made):
        for agent in made:
            (agent.directory / "state").mkdir()
            agent.start()
        yield made


def show(agent: AgentProcess, *peers: PublicKey, address: str = "fd10:1::/48") -> None:
    """Let an agent's device have these peers, and this address."""
    host = FakeHost(agent.directory / "state")
    host.delete(IFNAME)
    host.create(IFNAME)
    added = tuple(PeerPatch(public_key=key, create=True) for key in peers)
    host.apply(IFNAME, DevicePatch(peers=added, add_addresses=frozenset({ip_interface(address)})))


@pytest.fixture
def watch() -> Watch:
    return Watch(list)


def test_a_peer_removed_without_a_reason_is_noticed(watch: Watch, nodes: list[AgentProcess]) -> None:
    show(nodes[0], KEY, OTHER_KEY)
    watch.protected = {KEY}
    watch.look(nodes[:1], 0)
    show(nodes[0], KEY)
    watch.look(nodes[:1], 1)
    assert watch.violations == [], "somebody deleted it"
    show(nodes[0])
    watch.look(nodes[:1], 2)
    assert watch.violations == [f"a removed {[KEY.text]} without a reason"]


def test_a_device_that_disappears_with_its_agent_removes_no_record(watch: Watch, nodes: list[AgentProcess]) -> None:
    show(nodes[0], KEY)
    watch.protected = {KEY}
    watch.look(nodes[:1], 0)
    FakeHost(nodes[0].directory / "state").delete(IFNAME)
    watch.look(nodes[:1], 1)
    assert watch.violations == []


def test_two_nodes_with_one_subnet_are_noticed_once_they_could_know(watch: Watch, nodes: list[AgentProcess]) -> None:
    for agent in nodes:
        show(agent)
    watch.in_trouble = True
    watch.look(nodes, 0)
    watch.look(nodes, 1000)
    watch.in_trouble = False
    watch.look(nodes, 1000 + DETECTION_S)
    assert watch.violations == []
    watch.look(nodes, 1001 + DETECTION_S)
    assert watch.violations == ["a and b both use fd10:1::/48 after 46 s"]


def test_a_node_that_releases_its_address_in_time_shares_nothing(watch: Watch, nodes: list[AgentProcess]) -> None:
    for agent in nodes:
        show(agent)
    watch.look(nodes, 0)
    nodes[1].kill()
    watch.look(nodes, 1000)
    assert watch.violations == []
