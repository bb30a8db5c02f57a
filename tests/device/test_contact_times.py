"""The first session of a new peer is counted once, if it comes soon."""

from ikto_core.device.contact_times import MEASURED_S, ContactTimes
from ikto_core.device.model import PeerState
from ikto_core.testing.devices import public_key_of

KEY = public_key_of(1)
NEW = PeerState(public_key=KEY)


def test_the_first_session_is_counted_once() -> None:
    times = ContactTimes()
    times.added([KEY], 100.0)
    times.saw({KEY: NEW})
    assert sum(times.taken.counts) == 0
    for _ in range(2):
        times.saw({KEY: PeerState(public_key=KEY, last_handshake=102.5)})
    assert (sum(times.taken.counts), times.taken.sum_s) == (1, 2.5)


def test_a_peer_that_was_idle_for_long_is_not_counted() -> None:
    times = ContactTimes()
    times.added([KEY], 100.0)
    times.forget_old(100.0 + MEASURED_S + 1)
    times.saw({KEY: PeerState(public_key=KEY, last_handshake=200.0)})
    assert sum(times.taken.counts) == 0
