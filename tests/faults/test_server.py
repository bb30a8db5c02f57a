"""The nats-server dies, freezes, or says good-bye."""

import time
from signal import Signals

import pytest

from ikto_core.lab.nats_server import NatsServer
from tests.agent_mesh import eventually
from tests.faults.conftest import Stopwatch
from tests.faults.harness import FaultMesh


@pytest.mark.fault("nats-server is killed, and is back after {outage_s} s")
@pytest.mark.parametrize("outage_s", [1, 30])
def test_killed(mesh: FaultMesh, server: NatsServer, converging: Stopwatch, outage_s: int) -> None:
    """No peer is removed, and later writes arrive everywhere."""
    mesh.formed(3)
    server.kill()
    time.sleep(outage_s)
    mesh.assert_nobody_removed()
    server.start()
    with converging.running():
        mesh.assert_follows()
    mesh.assert_nobody_removed()


@pytest.mark.fault("nats-server is frozen for 40 s (SIGSTOP)")
def test_frozen(mesh: FaultMesh, server: NatsServer, converging: Stopwatch) -> None:
    """Agents notice the silence and remove no peer; afterwards they follow as before."""
    agents = mesh.formed(3)
    server.send(Signals.SIGSTOP)
    frozen_at = time.monotonic()
    eventually(lambda: not any(agent.admin.status().nats.connected for agent in agents), timeout_s=38)
    time.sleep(40 - (time.monotonic() - frozen_at))
    server.send(Signals.SIGCONT)
    with converging.running():
        mesh.assert_follows()
    mesh.assert_nobody_removed()


@pytest.mark.fault("nats-server is restarted in order")
def test_restarted(mesh: FaultMesh, server: NatsServer, converging: Stopwatch) -> None:
    """A restart for an update changes no device."""
    mesh.formed(3)
    before = [agent.admin.status().counters.reconcile.peers_written for agent in mesh.agents]
    server.stop()
    server.start()
    with converging.running():
        eventually(lambda: all(agent.admin.status().nats.connected for agent in mesh.agents))
        mesh.assert_whole()
    assert [agent.admin.status().counters.reconcile.peers_written for agent in mesh.agents] == before
