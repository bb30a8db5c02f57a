"""Saves each fake device in a JSON file, so that it outlives the process and other programs can read it."""

from ipaddress import ip_interface
from pathlib import Path

import msgspec

from ikto_core.plugins import (
    BackendError,
    DeviceState,
    Endpoint,
    Key,
    PeerState,
    Prefix,
    PresharedKey,
    PrivateKey,
    PublicKey,
    replace_file,
)


class _Peer(msgspec.Struct, kw_only=True, omit_defaults=True):
    allowed_ips: list[str] = []
    endpoint: str | None = None
    persistent_keepalive: int = 0
    preshared_key: str | None = None
    last_handshake: float | None = None
    rx_bytes: int = 0
    tx_bytes: int = 0


class _Device(msgspec.Struct, kw_only=True):
    private_key: str | None
    listen_port: int
    fwmark: int
    mtu: int
    up: bool
    addresses: list[str]
    peers: dict[str, _Peer]


def state_file(state_dir: Path, ifname: str) -> Path:
    """Return the path of the file of the fake device with this name."""
    return state_dir / f"fake-{ifname}.json"


def load_device(path: Path) -> DeviceState:
    """Read one device; BackendError if the file can't be read or is not a fake device's."""
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=_Device)
        return DeviceState(
            private_key=PrivateKey.parse(saved.private_key) if saved.private_key else None,
            listen_port=saved.listen_port,
            fwmark=saved.fwmark,
            mtu=saved.mtu,
            up=saved.up,
            addresses=frozenset(ip_interface(text) for text in saved.addresses),
            peers={(key := PublicKey.parse(text)): _peer_state(key, peer) for text, peer in saved.peers.items()},
        )
    except (OSError, ValueError) as error:  # msgspec's and the parsers' errors are ValueErrors
        raise BackendError(f"{path}: can't read the fake device: {error}", hint="delete the file") from error


def load_devices(state_dir: Path | None) -> dict[str, DeviceState]:
    """Read every device in the directory, by interface name."""
    paths = state_dir.glob("fake-*.json") if state_dir else ()
    return {path.stem.removeprefix("fake-"): load_device(path) for path in paths}


def save_device(state_dir: Path | None, ifname: str, state: DeviceState) -> None:
    """Write one device atomically, so that a reader sees the old or the new file. It contains keys: mode 0600."""
    if state_dir is None:
        return
    path = state_file(state_dir, ifname)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(path, msgspec.json.encode(_device(state)))
    except OSError as error:
        raise BackendError(f"{path}: can't be written: {error.strerror}") from error


def remove_device(state_dir: Path | None, ifname: str) -> None:
    """Delete the file of one device."""
    if state_dir is not None:
        state_file(state_dir, ifname).unlink(missing_ok=True)


def _peer_state(public_key: PublicKey, saved: _Peer) -> PeerState:
    return PeerState(
        public_key=public_key,
        allowed_ips=frozenset(Prefix.parse(text) for text in saved.allowed_ips),
        endpoint=Endpoint.parse(saved.endpoint) if saved.endpoint else None,
        persistent_keepalive=saved.persistent_keepalive,
        preshared_key=PresharedKey.parse(saved.preshared_key) if saved.preshared_key else None,
        last_handshake=saved.last_handshake,
        rx_bytes=saved.rx_bytes,
        tx_bytes=saved.tx_bytes,
    )


def _device(state: DeviceState) -> _Device:
    return _Device(
        private_key=_text(state.private_key),
        listen_port=state.listen_port,
        fwmark=state.fwmark,
        mtu=state.mtu,
        up=state.up,
        addresses=sorted(str(address) for address in state.addresses),
        peers={public_key.text: _peer(peer) for public_key, peer in state.peers.items()},
    )


def _peer(peer: PeerState) -> _Peer:
    return _Peer(
        allowed_ips=sorted(str(prefix) for prefix in peer.allowed_ips),
        endpoint=str(peer.endpoint) if peer.endpoint else None,
        persistent_keepalive=peer.persistent_keepalive,
        preshared_key=_text(peer.preshared_key),
        last_handshake=peer.last_handshake,
        rx_bytes=peer.rx_bytes,
        tx_bytes=peer.tx_bytes,
    )


def _text(key: Key | None) -> str | None:
    return key.text if key else None
