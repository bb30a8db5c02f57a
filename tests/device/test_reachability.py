"""A peer is confirmed by a handshake since the claim or by data received since, and by nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from ikto_core.device.model import PeerState
from ikto_core.device.reachability import unconfirmed
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.keys import PublicKey
from tests.samples import KEYS

PEERS = [MeshPeer(key, ()) for key in KEYS]
CLAIM = 1000.5
TIMES = st.none() | st.sampled_from([0.0, 900.0, 1000.0, 1000.25, 1000.75, 1001.0, 2000.5])
STATES = st.dictionaries(st.sampled_from(KEYS), st.tuples(TIMES, st.integers(0, 2)))


Observed = dict[PublicKey, tuple[float | None, int]]


def device(observed: Observed) -> dict[PublicKey, PeerState]:
    return {key: PeerState(public_key=key, last_handshake=at, rx_bytes=rx) for key, (at, rx) in observed.items()}


@given(STATES, STATES)
def test_a_peer_is_confirmed_by_a_later_handshake_or_by_received_data(now: Observed, before: Observed) -> None:
    """`wg` reports whole seconds: a handshake at 1000 may have been at 1000.9."""
    found = {peer.public_key for peer in unconfirmed(PEERS, device(now), device(before), CLAIM)}
    for key in KEYS:
        handshake = key in now and now[key][0] in (1000.0, 1000.75, 1001.0, 2000.5)
        received = key in now and key in before and now[key][1] > before[key][1]
        assert (key not in found) == (handshake or received)
