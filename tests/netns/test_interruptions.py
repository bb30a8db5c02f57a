"""What happens to a node does not keep it from its peers, under a question every 20 ms."""

import sys
from collections.abc import Callable, Iterator, Sequence

import pytest

from ikto_core.lab.first_contact import mesh_of, start
from ikto_core.lab.hosted import HostedMesh, HostedNode
from ikto_core.lab.interruption import (
    Interruption,
    delete_device,
    interruption,
    kill,
    party,
    power_failure,
    reboot,
    renumber,
    restart,
    rotate_key,
    start_without_device,
)
from tests.e2e.conftest import IMPATIENT
from tests.netns.mesh import USERSPACE

pytestmark = USERSPACE

ROUND_TRIP_S = 0.04
REKEY_TIMEOUT_S = 5.0
"""When WireGuard tries again (WireGuard paper, section 6.1)."""

Event = Callable[[HostedNode, Sequence[HostedNode]], float]


@pytest.fixture(scope="module")
def three() -> Iterator[HostedMesh]:
    """Three nodes that are a mesh; their agents do not wait long before they switch to a new key."""
    with mesh_of(3, delay_s=ROUND_TRIP_S / 2, program=(sys.executable, "-m", *IMPATIENT)) as mesh:
        start(mesh.nodes)
        yield mesh


def cost_of(event: Event, mesh: HostedMesh, *, both_ways: bool = False) -> Interruption:
    """Return what an event of the first node costs the second, which asks it."""
    node, *others = mesh.nodes
    cost = interruption(party(node), party(others[0]), lambda: event(node, others), both_ways=both_ways)
    print(f"{event.__name__}: {cost}")  # noqa: T201 - for docs/first-contact.md
    return cost


@pytest.mark.parametrize("event", [restart, kill])
def test_an_agent_that_starts_again_writes_no_peer(event: Event, three: HostedMesh) -> None:
    assert cost_of(event, three, both_ways=True).lost == 0


@pytest.mark.parametrize("event", [reboot, delete_device])
def test_sessions_are_made_anew_as_soon_as_the_device_is_there_again(event: Event, three: HostedMesh) -> None:
    """The node only answers: the peer's WireGuard would send into the old session for 15 s."""
    assert cost_of(event, three).after_s < REKEY_TIMEOUT_S, three.nodes[0].agent.log_text()


def test_a_host_that_gets_another_address_is_found_there_at_once(three: HostedMesh) -> None:
    """The node only answers: the peer's WireGuard would send to the old address for 15 s, and longer."""
    assert cost_of(renumber, three).after_s < REKEY_TIMEOUT_S


def test_sessions_are_made_anew_after_a_power_failure(three: HostedMesh) -> None:
    """If the snapshot has them, which is written whenever an agent stops, and now and then."""
    node, *others = three.nodes
    restart(node, others)
    assert cost_of(power_failure, three).after_s < REKEY_TIMEOUT_S


def test_sessions_are_made_anew_after_a_reboot_while_nats_is_down(three: HostedMesh) -> None:
    def reboot_without_nats(node: HostedNode, _: Sequence[HostedNode]) -> float:
        three.server.stop()
        node.agent.stop()
        return start_without_device(node)

    assert cost_of(reboot_without_nats, three).after_s < REKEY_TIMEOUT_S
    three.server.start()
    start([], three.nodes)


def test_a_key_rotation_is_over_before_wireguard_would_try_again(three: HostedMesh) -> None:
    assert cost_of(rotate_key, three, both_ways=True).gap_s < REKEY_TIMEOUT_S
