"""What would be done to a device is shown without its secrets, with names and with what is there now."""

import json
from ipaddress import ip_interface

import msgspec

from ikto_core.admin.device_views import ChangeView
from ikto_core.admin.showing_changes import diff_view
from ikto_core.device.model import NO_PRESHARED_KEY, DevicePatch, DeviceState, PeerPatch, PeerState
from ikto_core.device.preview import Preview
from ikto_core.testing.devices import private_key_of, public_key_of
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PresharedKey

KEY, OTHER, GONE = (public_key_of(number) for number in (2, 3, 4))
SUBNET = Prefix.parse("fd10:2::/48")
SECRET = PresharedKey(bytes([7] * 32))
STATE = DeviceState(
    private_key=private_key_of(9),
    listen_port=1,
    peers={KEY: PeerState(public_key=KEY, endpoint=Endpoint("192.0.2.2", 1), preshared_key=SECRET)},
)


def changes(preview: Preview) -> tuple[ChangeView, ...]:
    view = diff_view(preview, "wg0", "fake", "agent", {})
    assert private_key_of(1).text not in json.dumps(msgspec.to_builtins(view))
    assert SECRET.text not in json.dumps(msgspec.to_builtins(view))
    return view.changes


def test_a_new_device_is_created_then_set() -> None:
    patch = DevicePatch(
        private_key=private_key_of(1), fwmark=0, up=True, add_addresses=frozenset({ip_interface("::1/16")})
    )
    created, written = changes(Preview(created=True, patch=patch))
    assert (created.action, created.ifname) == ("create-device", "wg0")
    assert written.after == {"private_key": "(hidden)", "fwmark": "off", "add_addresses": "::1/16", "up": "up"}
    assert written.before == {"fwmark": "off", "up": "down"}


def test_a_former_device_is_deleted_first() -> None:
    assert [c.action for c in changes(Preview(deleted=("wg7",), created=True))] == ["delete-device", "create-device"]


def test_only_what_is_written_is_shown_with_what_was_there() -> None:
    (change,) = changes(Preview(state=STATE, patch=DevicePatch(listen_port=51820)))
    assert (change.before, change.after) == ({"listen_port": "1"}, {"listen_port": "51820"})


def test_peers_are_added_changed_and_removed() -> None:
    patch = DevicePatch(
        peers=(
            PeerPatch(public_key=OTHER, create=True, allowed_ips=frozenset({SUBNET}), preshared_key=SECRET),
            PeerPatch(
                public_key=KEY,
                endpoint=Endpoint("2001:db8::1", 2),
                persistent_keepalive=25,
                preshared_key=NO_PRESHARED_KEY,
            ),
        ),
        remove_peers=frozenset({GONE}),
    )
    added, changed, removed = changes(Preview(state=STATE, patch=patch))
    assert (added.action, added.public_key) == ("add-peer", OTHER.text)
    assert (added.before, added.after) == ({}, {"allowed_ips": "fd10:2::/48", "preshared_key": "(hidden)"})
    assert changed.action == "change-peer"
    assert changed.before == {"endpoint": "192.0.2.2:1", "persistent_keepalive": "off", "preshared_key": "(hidden)"}
    assert changed.after == {"endpoint": "[2001:db8::1]:2", "persistent_keepalive": "25", "preshared_key": "none"}
    assert (removed.action, removed.public_key, removed.after) == ("remove-peer", GONE.text, {})


def test_all_allowed_ips_may_go() -> None:
    (change,) = changes(
        Preview(state=STATE, patch=DevicePatch(peers=(PeerPatch(public_key=KEY, allowed_ips=frozenset()),)))
    )
    assert change.after == {"allowed_ips": "none"}
