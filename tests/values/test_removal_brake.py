"""The brake admits few removals at once, the others are pending, and all are admitted in the end."""

from hypothesis import given
from hypothesis import strategies as st

from ikto_core.testing.devices import public_key_of
from ikto_core.values.keys import PublicKey
from ikto_core.values.removal_brake import Brake, BrakeLimits

Peers = frozenset[PublicKey]
HUNDRED = frozenset(public_key_of(number) for number in range(1, 101))
LIMITS = st.builds(
    BrakeLimits,
    share=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    at_least=st.integers(0, 4),
    window_s=st.just(60.0),
    max_wait_s=st.sampled_from([0.0, 30.0, 600.0]),
)


def first(count: int) -> Peers:
    return frozenset(sorted(HUNDRED)[:count])


def brake_with(surplus: int) -> Brake[PublicKey]:
    """Return a brake that was asked to remove `surplus` of a hundred peers at time 0."""
    brake = Brake[PublicKey](BrakeLimits())
    brake.admit(first(surplus), present=100, now=0)
    return brake


def test_thirty_of_a_hundred_removals_are_admitted_and_seventy_are_pending() -> None:
    brake = Brake[PublicKey](BrakeLimits())
    admitted = brake.admit(HUNDRED, present=100, now=0)
    assert (len(admitted), len(brake.pending)) == (30, 70)
    assert admitted | brake.pending == HUNDRED


def test_five_removals_of_a_small_mesh_are_admitted() -> None:
    brake = Brake[PublicKey](BrakeLimits())
    assert len(brake.admit(first(7), present=7, now=0)) == 5


def test_removals_one_by_one_have_the_same_limit() -> None:
    brake = Brake[PublicKey](BrakeLimits())
    left = HUNDRED
    for second, key in enumerate(sorted(HUNDRED)[:40]):
        left -= brake.admit(brake.pending | {key}, present=len(left), now=second)
    assert (len(left), len(brake.pending)) == (70, 10)


def test_a_new_window_admits_new_removals_and_not_pending_ones() -> None:
    brake = brake_with(100)
    early, late = public_key_of(200), public_key_of(201)
    assert brake.admit(brake.pending | {early}, present=71, now=59.9) == frozenset()
    assert brake.admit(brake.pending | {late}, present=72, now=60) == {late}
    assert len(brake.pending) == 71


def test_a_pending_removal_is_admitted_after_the_maximum_wait() -> None:
    brake = brake_with(100)
    pending = frozenset(brake.pending)
    assert brake.admit(pending, present=70, now=599.9) == frozenset()
    assert brake.admit(pending, present=70, now=600) == pending
    assert not brake.pending


def test_released_removals_are_admitted_at_once_and_later_ones_are_pending() -> None:
    brake = brake_with(100)
    pending = frozenset(brake.pending)
    brake.release()
    late = frozenset(public_key_of(number) for number in range(200, 240))
    assert brake.admit(pending | late, present=110, now=1) >= pending
    assert brake.pending < late


def test_released_removals_do_not_count_against_the_limit() -> None:
    brake = brake_with(31)
    brake.release()
    brake.admit(frozenset(brake.pending), present=70, now=61)
    assert len(brake.admit(first(69) - first(31), present=69, now=62)) == 20


def test_a_pending_peer_that_comes_back_and_vanishes_again_waits_from_the_start() -> None:
    brake = brake_with(100)
    back = max(brake.pending)
    brake.admit(brake.pending - {back}, present=70, now=300)
    assert back not in brake.pending
    brake.admit(brake.pending | {back, *first(100)}, present=100, now=301)
    assert back in brake.pending
    assert back not in brake.admit(frozenset(brake.pending), present=70, now=601)


def test_an_admitted_removal_that_failed_is_admitted_again() -> None:
    brake = Brake[PublicKey](BrakeLimits())
    admitted = brake.admit(HUNDRED, present=100, now=0)
    assert brake.admit(HUNDRED, present=100, now=1) == admitted
    brake.release()
    assert brake.admit(HUNDRED, present=100, now=2) == HUNDRED
    assert brake.admit(HUNDRED, present=100, now=90) == HUNDRED


@given(
    LIMITS, st.lists(st.tuples(st.frozensets(st.sampled_from(sorted(first(12)))), st.sampled_from([0, 1, 29, 31, 61])))
)
def test_no_window_admits_more_than_the_limit_besides_pending_removals(
    limits: BrakeLimits, steps: list[tuple[Peers, int]]
) -> None:
    """The surplus grows by the peers that vanish; the admitted peers are removed from the device."""
    brake, device, surplus, now = Brake[PublicKey](limits), set(first(12)), set[PublicKey](), 0.0
    sizes: list[tuple[float, int]] = []
    passed: list[tuple[float, PublicKey]] = []
    for vanished, seconds in steps:
        now += seconds
        surplus |= vanished & device
        sizes.append((now, len(device)))
        pending = frozenset(brake.pending)
        admitted = brake.admit(surplus, present=len(device), now=now)
        passed += [(now, key) for key in admitted - pending]
        device -= admitted
        surplus -= admitted
        at_start = max(size for at, size in sizes if at > now - limits.window_s)
        recent = [key for at, key in passed if at > now - limits.window_s]
        assert len(recent) <= max(limits.at_least, int(limits.share * at_start))
        assert brake.pending == surplus


def test_what_was_applied_and_is_asked_for_again_is_limited_again() -> None:
    brake = brake_with(100)
    brake.release()
    released = brake.admit(frozenset(brake.pending), present=70, now=1)
    brake.applied()
    assert brake.admit(released, present=70, now=2) == frozenset()


def test_a_removal_that_failed_counts_once_in_its_last_window() -> None:
    brake = Brake[PublicKey](BrakeLimits())
    admitted = brake.admit(first(30), present=100, now=0)
    assert brake.admit(first(35), present=100, now=1) == admitted
    brake = Brake[PublicKey](BrakeLimits())
    brake.admit(first(30), present=100, now=0)
    assert brake.admit(first(35), present=100, now=61) == admitted


@given(LIMITS, st.lists(st.frozensets(st.sampled_from(sorted(first(12)))), max_size=5))
def test_every_surplus_peer_is_removed_in_the_end_and_no_other(limits: BrakeLimits, surpluses: list[Peers]) -> None:
    brake = Brake[PublicKey](limits)
    for now, surplus in enumerate(surpluses):
        admitted = brake.admit(surplus, present=12, now=now)
        assert admitted | brake.pending == surplus
        assert not admitted & brake.pending
    left = frozenset(brake.pending)
    assert brake.admit(left, present=12, now=len(surpluses) + limits.max_wait_s) == left
