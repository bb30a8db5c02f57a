"""Which peers are sent to after a pass."""

from ikto_core.device.contacts import Contacts
from ikto_core.device.endpoint_policy import HANDSHAKE_RECENT_S
from ikto_core.device.model import PeerState
from ikto_core.testing.devices import public_key_of
from ikto_core.values.addressing import Prefix

A, B = public_key_of(1), public_key_of(2)
SUBNET = Prefix.parse("fd10:1::/48")
NOW = 1_000_000.0


def contacts_with_a_session() -> Contacts:
    contacts = Contacts()
    contacts.sessions.restore([A], NOW)
    return contacts


def test_a_peer_is_returned_once_and_not_if_it_is_left_out() -> None:
    contacts = Contacts()
    contacts.add([A, B])
    assert contacts.take(unless={B}) == {A}
    assert contacts.take(unless=set()) == set()


def test_after_the_device_was_lost_the_peers_with_a_session_are_sent_to_once_they_are_written() -> None:
    contacts = contacts_with_a_session()
    contacts.read_device(set(), {A, B})
    assert contacts.take(unless=set()) == set(), "they are not on the device yet"
    contacts.read_device({A, B}, {A, B})  # a write failed half-way, and the device was read again
    contacts.wrote_device(NOW)
    assert contacts.take(unless=set()) == {A}
    contacts.wrote_device(NOW)
    assert contacts.take(unless=set()) == set()


def test_a_device_that_has_peers_was_not_lost() -> None:
    contacts = contacts_with_a_session()
    contacts.read_device({B}, {A, B})
    contacts.wrote_device(NOW)
    assert contacts.take(unless=set()) == set()


def test_the_new_key_of_a_peer_with_a_session_is_sent_to() -> None:
    shown = {A: PeerState(public_key=A, allowed_ips=frozenset({SUBNET}))}
    holders = {SUBNET: B}
    contacts = contacts_with_a_session()
    contacts.replaced({A}, holders, shown, NOW + HANDSHAKE_RECENT_S)
    assert contacts.take(unless=set()) == set(), "the session was over"
    contacts = contacts_with_a_session()
    contacts.replaced({A}, holders, shown, NOW)
    assert contacts.take(unless=set()) == {B}
