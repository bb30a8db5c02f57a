"""No packet waits for WireGuard's second try, at any delay and with any traffic, when nodes join."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from ikto_core.lab.first_contact import FirstAnswer, Traffic, join, mesh_of, start, status_of
from ikto_core.lab.hosted import IKTO, HostedMesh, HostedNode
from tests.netns.mesh import USERSPACE

pytestmark = USERSPACE

REKEY_TIMEOUT_S = 5.0
"""When WireGuard tries again (WireGuard paper, section 6.1): who had an answer before did not need that."""

KICKS = 2
"""How often a new pair may be kicked: once by each of its nodes."""

ROUND_TRIPS_MS = pytest.mark.parametrize("round_trip_ms", [0, 40, 200])


def kicks(nodes: Sequence[HostedNode]) -> int:
    statuses = [status for node in nodes if (status := status_of(node))]
    assert len(statuses) == len(nodes)
    return sum(status.counters.reconcile.kicks for status in statuses)


def stalled(answers: Sequence[FirstAnswer]) -> list[FirstAnswer]:
    """Return the pairs that waited for WireGuard's second try."""
    assert answers
    return [answer for answer in answers if answer.after_s is None or answer.after_s >= REKEY_TIMEOUT_S]


@contextmanager
def a_mesh_and(
    joining: int, round_trip_ms: int, *, running: int = 2, program: Sequence[str] = IKTO
) -> Iterator[tuple[HostedMesh, Sequence[HostedNode], Sequence[HostedNode]]]:
    """Make nodes that are a mesh, and nodes that are to join; all of them run the same program."""
    with mesh_of(running + joining, delay_s=round_trip_ms / 2000, program=program) as mesh:
        others = mesh.nodes[:running]
        start(others)
        yield mesh, others, mesh.nodes[running:]


def without(what: str) -> Sequence[str]:
    """Return the program of an agent that lacks a part of first contact."""
    return (sys.executable, "-m", "tests.colliding", what)


@ROUND_TRIPS_MS
def test_a_node_that_joins_has_its_answers_at_once_whoever_asks(round_trip_ms: int) -> None:
    with a_mesh_and(len(Traffic), round_trip_ms) as (mesh, others, new):
        running = [*others]
        for node, traffic in zip(new, Traffic, strict=True):
            before = kicks(running)
            answers = join(mesh, running, [node], traffic)
            assert not stalled(answers), f"{traffic}: {answers}"
            running.append(node)
            assert kicks(running) - before <= KICKS * len(running)


@ROUND_TRIPS_MS
def test_three_that_join_at_once_have_their_answers_at_once(round_trip_ms: int) -> None:
    with a_mesh_and(3, round_trip_ms) as (mesh, others, new):
        answers = join(mesh, others, new, Traffic.BOTH)
        assert len(answers) == 18
        assert not stalled(answers)
        assert kicks(mesh.nodes) <= KICKS * len(answers) / 2


@ROUND_TRIPS_MS
@pytest.mark.parametrize("traffic", [Traffic.BOTH, Traffic.OTHERS, Traffic.NONE])
def test_the_first_three_nodes_of_a_mesh_have_their_answers_at_once(traffic: Traffic, round_trip_ms: int) -> None:
    """Three times: which handshakes collide depends on chance. With traffic one way, one node is there already."""
    running = 1 if traffic is Traffic.OTHERS else 0
    for _ in range(3):
        with mesh_of(3, delay_s=round_trip_ms / 2000) as mesh:
            others, new = mesh.nodes[:running], mesh.nodes[running:]
            if others:
                start(others)
            assert not stalled(join(mesh, others, new, traffic))


def test_a_node_that_joins_eight_others_has_its_answers_at_once() -> None:
    with a_mesh_and(1, 40, running=8) as (mesh, others, new):
        answers = join(mesh, others, new, Traffic.BOTH)
        assert len(answers) == 16
        assert not stalled(answers)


def test_without_listening_and_kicks_first_handshakes_collide() -> None:
    """Or this network would show nothing."""
    with a_mesh_and(1, 40, program=without("listen,kick")) as (mesh, others, new):
        assert stalled(join(mesh, others, new, Traffic.BOTH, patience_s=2 * REKEY_TIMEOUT_S))


def test_kicks_alone_end_collisions() -> None:
    with a_mesh_and(1, 40, program=without("listen")) as (mesh, others, new):
        answers = join(mesh, others, new, Traffic.BOTH)
        assert not stalled(answers)
        assert 1 <= kicks(mesh.nodes) <= KICKS * len(answers) / 2


def test_listening_alone_avoids_collisions() -> None:
    with a_mesh_and(1, 40, program=without("kick")) as (mesh, others, new):
        assert not stalled(join(mesh, others, new, Traffic.BOTH))
        assert kicks(mesh.nodes) == 0


def test_a_node_that_neither_listens_nor_kicks_has_its_answers_at_once_too() -> None:
    """Such as Ikto 0.3.0."""
    with a_mesh_and(1, 40) as (mesh, others, new):
        new[0].agent._command = (*new[0].host.exec_prefix, *without("listen,kick"))
        assert not stalled(join(mesh, others, new, Traffic.BOTH))
