"""The path between an agent and NATS fails, or messages arrive on it that nobody should have sent."""

import time
from random import Random
from signal import Signals

import pytest

from ikto_core.lab.nats_proxy import Frame, NatsProxy
from ikto_core.lab.nats_server import NatsServer
from tests.agent_mesh import eventually
from tests.faults.conftest import Stopwatch
from tests.faults.harness import FaultMesh, shown
from tests.raw_nats import READER_KILLERS, publish_raw


@pytest.mark.fault("an agent is cut off from NATS for 45 s: its packets are lost")
def test_partitioned(mesh: FaultMesh, proxy: NatsProxy, converging: Stopwatch) -> None:
    """It keeps every peer, and catches up with the writes and deletions since."""
    cut_off = mesh.agent(nats_url=proxy.url)
    others = mesh.formed(2)[1:]
    gone = mesh.add_stranger()
    mesh.assert_whole()
    before = shown(cut_off)
    proxy.freeze()
    frozen_at = time.monotonic()
    mesh.write(gone, None)
    mesh.assert_follows(*others)
    eventually(lambda: not cut_off.admin.status().nats.connected, timeout_s=40)
    time.sleep(max(0, 45 - (time.monotonic() - frozen_at)))
    assert shown(cut_off) == before
    proxy.heal()
    with converging.running():
        mesh.assert_follows()
    assert cut_off.admin.status().counters.reconcile.peers_removed == 1, "the one that was deleted"


@pytest.mark.fault("an agent's connections are reset, until five attempts at another have failed")
def test_reset(mesh: FaultMesh, proxy: NatsProxy, converging: Stopwatch) -> None:
    """It dials until it succeeds, and no peer is removed."""
    cut_off = mesh.agent(nats_url=proxy.url)
    others = mesh.formed(2)[1:]
    proxy.cut()
    mesh.assert_follows(*others)
    before = cut_off.admin.status().counters.connection.failures
    eventually(lambda: cut_off.admin.status().counters.connection.failures >= before + 5)
    assert not cut_off.admin.status().nats.connected
    proxy.heal()
    with converging.running():
        mesh.assert_follows()
    mesh.assert_nobody_removed()


@pytest.mark.fault("30 % of an agent's pushes are lost, the last ones too")
def test_pushes_dropped(mesh: FaultMesh, proxy: NatsProxy, converging: Stopwatch) -> None:
    """The next push shows the gap; if there is none, the agent asks the leader within 24 s."""
    agent = mesh.agent(nats_url=proxy.url)
    mesh.formed(1)
    random = Random(1)
    proxy.admit = lambda frame: not frame.subject.startswith(b"ikto.") or random.random() > 0.3
    mesh.add_strangers(200)
    mesh.assert_whole()
    assert agent.admin.status().counters.follower.gaps > 20
    proxy.admit = lambda frame: not frame.subject.startswith(b"ikto.")
    with converging.running():
        mesh.assert_follows()
    mesh.assert_nobody_removed()


@pytest.mark.fault("junk is published on every subject that agents listen on")
def test_junk(mesh: FaultMesh, server: NatsServer, proxy: NatsProxy, converging: Stopwatch) -> None:
    """It is not taken for a record, and it is read past."""
    listening = subjects_of_subscriptions(proxy)
    victim = mesh.agent(nats_url=proxy.url)
    mesh.formed(2)
    assert any(subject.startswith(b"_INBOX_node-1.") for subject in listening)
    pushes = b"ikto.%s.peers.x" % mesh.name.encode()
    headers = b"NATS/1.0\r\nNats-Sequence: 999999\r\nNats-Subject: $KV.%s.peers.x\r\n\r\n" % mesh.name.encode()
    publish_raw(server, b"HPUB %s %d %d\r\n%s\r\n" % (pushes, len(headers), len(headers), headers))
    for subject in list(listening):
        for junk in (b"PUB %s 4\r\njunk\r\n", b"PUB %s 2\r\n{}\r\n", b"HPUB %s 12 13\r\njunkjunk\r\n\r\nx\r\n"):
            victim.admin.resync()  # it asks, and forged answers come before the true ones
            publish_raw(server, b"".join(junk % (subject[:-1] + b"%d" % token) for token in range(100)))
        for junk in READER_KILLERS.values():
            publish_raw(server, junk % subject.rpartition(b".")[0])
    with converging.running():
        mesh.assert_follows()
    mesh.assert_nobody_removed()


def subjects_of_subscriptions(proxy: NatsProxy) -> list[bytes]:
    """Return a list that grows by what the agent behind the proxy subscribes to."""
    subjects: list[bytes] = []

    def admit(frame: Frame) -> bool:
        if frame.verb == b"SUB":
            subjects.append(frame.head.split()[1])
        return True

    proxy.admit = admit
    return subjects


@pytest.mark.fault("a message arrives that ends nats-py's own read task")
def test_read_task_killed(mesh: FaultMesh, server: NatsServer, converging: Stopwatch) -> None:
    """It is read past, and no write is missed."""
    agents = mesh.formed(2)
    publish_raw(server, READER_KILLERS["a subject that is not UTF-8"] % f"ikto.{mesh.name}".encode())
    with converging.running():
        mesh.assert_follows()
    assert all(agent.admin.status().counters.connection.sessions == 1 for agent in agents)
    mesh.assert_nobody_removed()


@pytest.mark.fault("a slow consumer: an agent is suspended until the server drops it")
def test_slow_consumer(mesh: FaultMesh, server: NatsServer, converging: Stopwatch) -> None:
    """It comes back, and shows what was written meanwhile."""
    server.config = "max_pending: 256KB\nwrite_deadline: 1s"
    server.reload()
    slow, *others = mesh.formed(2)
    slow.send(Signals.SIGSTOP)
    block = b"PUB ikto.%s.x 30000\r\n%s\r\n" % (mesh.name.encode(), b"x" * 30_000)
    while "Slow Consumer" not in (server.directory / "nats.log").read_text():
        publish_raw(server, block * 50)
    mesh.assert_follows(*others)
    slow.send(Signals.SIGCONT)
    with converging.running():
        mesh.assert_follows()
    mesh.assert_nobody_removed()


def test_the_proxy_forwards_what_it_is_not_told_to_drop(mesh: FaultMesh, proxy: NatsProxy) -> None:
    seen: list[Frame] = []

    def admit(frame: Frame) -> bool:
        seen.append(frame)
        return True

    proxy.admit = admit
    mesh.agent(nats_url=proxy.url)
    mesh.formed(1)
    assert {frame.verb for frame in seen} >= {b"INFO", b"CONNECT", b"SUB", b"PUB", b"HPUB", b"MSG", b"HMSG", b"PING"}
    assert any(frame.subject.startswith(b"ikto.") for frame in seen)
