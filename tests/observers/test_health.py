"""What changes in the health of a node is an event, once."""

from ikto_core.observers.health import (
    Health,
    HealthDiff,
    HealthEvent,
    InSync,
    PeerReachable,
    PeerUnreachable,
    RemovalsPending,
    SyncFailed,
    Unreachable,
)

DOWN = Health(unreachable={"A": Unreachable("node-a", "no answer")})


def events(*steps: Health, peers: frozenset[str] = frozenset("AB")) -> list[tuple[HealthEvent, ...]]:
    diff = HealthDiff()
    return [diff.take(step, peers, float(number)) for number, step in enumerate(steps)]


def test_nothing_new_is_no_event() -> None:
    failed = Health(failure="x", hint="y", pending=3, unreachable=DOWN.unreachable)
    assert events(Health(), Health()) == [(), ()]
    assert events(failed, failed)[1] == ()


def test_a_failure_is_an_event_another_one_too_and_its_end() -> None:
    found = events(Health("x", "do y"), Health("x", "do y"), Health("z"), Health())
    assert found == [
        (SyncFailed(error="x", hint="do y"),),
        (),
        (SyncFailed(error="z", hint=""),),
        (InSync(failed_s=3.0),),
    ]


def test_every_number_of_pending_removals_is_an_event() -> None:
    found = events(*(Health(pending=number) for number in (0, 3, 3, 2, 0)))
    assert found == [(), (RemovalsPending(peers=3),), (), (RemovalsPending(peers=2),), (RemovalsPending(peers=0),)]


def test_a_peer_is_unreachable_and_reachable_again() -> None:
    found = events(DOWN, Health(unreachable={"A": Unreachable("node-a", "stalled")}), Health())
    unreachable = PeerUnreachable(public_key="A", name="node-a", reason="no answer")
    assert found == [(unreachable,), (), (PeerReachable(public_key="A", name="node-a"),)]


def test_a_peer_that_has_left_is_not_reachable_again() -> None:
    assert events(DOWN, Health(), peers=frozenset("B"))[1] == ()
