"""Convert what would be done to a device to its view. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from ikto_core.admin.device_views import ChangeView, DiffView
from ikto_core.device.model import NO_PRESHARED_KEY, DevicePatch, DeviceState, PeerPatch, PeerState
from ikto_core.device.preview import Preview
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.keys import PresharedKey, PublicKey

HIDDEN = "(hidden)"
OFF = "off"
NONE = "none"


def diff_view(
    preview: Preview, ifname: str, backend: str, source: str, accepted: Mapping[PublicKey, MeshPeer]
) -> DiffView:
    """Return what would be done; peers get their names from `accepted`."""
    return DiffView(
        ifname=ifname,
        backend=backend,
        source=source,
        revision=preview.revision,
        changes=tuple(_changes(preview, ifname, accepted)),
        pending_removals=tuple(key.text for key in sorted(preview.pending_removals)),
    )


def _changes(preview: Preview, ifname: str, accepted: Mapping[PublicKey, MeshPeer]) -> Iterator[ChangeView]:
    """Yield the changes in the order in which they are made."""
    for name in preview.deleted:
        yield ChangeView(action="delete-device", ifname=name)
    if preview.created:
        yield ChangeView(action="create-device", ifname=ifname)
    state, patch = preview.state or DeviceState(), preview.patch
    if after := _device(patch):
        before = _device_before(state)
        yield ChangeView(
            action="set-device",
            ifname=ifname,
            before={name: before[name] for name in after if before[name]},
            after=after,
        )
    for peer in patch.peers:
        yield _peer_change(peer, state.peers.get(peer.public_key), ifname, accepted)
    for key in sorted(patch.remove_peers):
        yield ChangeView(action="remove-peer", ifname=ifname, public_key=key.text, name=_name(key, accepted))


def _device(patch: DevicePatch) -> dict[str, str]:
    """Return what a patch writes to the device itself, by name."""
    values = {
        "private_key": HIDDEN if patch.private_key else None,
        "listen_port": _text(patch.listen_port),
        "fwmark": _off_or(patch.fwmark),
        "mtu": _text(patch.mtu),
        "add_addresses": _list(patch.add_addresses) if patch.add_addresses else None,
        "remove_addresses": _list(patch.remove_addresses) if patch.remove_addresses else None,
        "up": {True: "up", False: "down", None: None}[patch.up],
    }
    return {name: text for name, text in values.items() if text is not None}


def _device_before(state: DeviceState) -> dict[str, str]:
    """Return what the device has, by the names of `_device`; empty: nothing, or it says nothing."""
    return {
        "private_key": HIDDEN if state.private_key else "",
        "listen_port": str(state.listen_port or ""),
        "fwmark": _off_or(state.fwmark) or "",
        "mtu": str(state.mtu),
        "add_addresses": "",
        "remove_addresses": "",
        "up": "up" if state.up else "down",
    }


def _peer_change(
    patch: PeerPatch, state: PeerState | None, ifname: str, accepted: Mapping[PublicKey, MeshPeer]
) -> ChangeView:
    key = patch.public_key
    after = {
        "allowed_ips": None if patch.allowed_ips is None else _list(patch.allowed_ips),
        "endpoint": _text(patch.endpoint),
        "persistent_keepalive": _off_or(patch.persistent_keepalive),
        "preshared_key": _preshared(patch.preshared_key),
    }
    written = {name: text for name, text in after.items() if text is not None}
    before = {name: text for name, text in _peer_before(state).items() if text} if state else {}
    return ChangeView(
        action="change-peer" if state else "add-peer",
        ifname=ifname,
        public_key=key.text,
        name=_name(key, accepted),
        before={name: text for name, text in before.items() if name in written},
        after=written,
    )


def _peer_before(state: PeerState) -> dict[str, str]:
    return {
        "allowed_ips": _list(state.allowed_ips),
        "endpoint": str(state.endpoint or ""),
        "persistent_keepalive": _off_or(state.persistent_keepalive) or "",
        "preshared_key": HIDDEN if state.preshared_key else "",
    }


def _preshared(key: PresharedKey | None) -> str | None:
    if key is None:
        return None
    return NONE if key == NO_PRESHARED_KEY else HIDDEN


def _name(key: PublicKey, accepted: Mapping[PublicKey, MeshPeer]) -> str | None:
    return accepted[key].name if key in accepted else None


def _list(items: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, items))) or NONE


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _off_or(value: int | None) -> str | None:
    return None if value is None else str(value or OFF)
