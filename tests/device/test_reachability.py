"""Whose device shows own_peers: a handshake since the claim, or anything else that it sent to us since, and nothing less."""

from hypothesis import given
from hypothesis import strategies as st

from ikto_core.device.model import PeerState
from ikto_core.device.reachability import unconfirmed
from ikto_core.mesh.view import MeshPeer
from ikto_core.values.keys import PublicKey
from tests.samples import KEYS

PEERS = [MeshPeer(key, ()) for key in KEYS]
CLAIM = 1000.5
TIMES = st.none() | st.sampled_from([0.0, 900.0, 1000.0, 1000.25, 1000.75, 1001.0, 2000.5])
STATES = st.dictionaries(st.sampled_from(KEYS), st.tuples(TIMES, st.integers(0, 2)))


Told = dict[PublicKey, tuple[float | None, int]]


def device(told: Told) -> dict[PublicKey, PeerState]:
    return {key: PeerState(public_key=key, last_handshake=at, rx_bytes=rx) for key, (at, rx) in told.items()}


@given(STATES, STATES)
def test_a_peer_is_confirmed_by_a_later_handshake_or_by_received_data(now: Told, before: Told) -> None:
    """`wg` tells whole seconds: a handshake at 1000 may have been at 1000.9."""
    missing = {peer.public_key for peer in unconfirmed(PEERS, device(now), device(before), CLAIM)}
    for key in KEYS:
        shaken = key in now and now[key][0] in (1000.0, 1000.75, 1001.0, 2000.5)
        sent = key in now and key in before and now[key][1] > before[key][1]
        assert (key not in missing) == (shaken or sent)
