"""Tests of C17: `read_peers`, an optional part of a backend, shows a few peers as `read` does."""

import pytest
from msgspec.structs import replace

from ikto_core.device.backend import Backend, PeerReader
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.testing.clauses import clause
from ikto_core.testing.contract_base import ContractBase
from ikto_core.testing.devices import check_equal, counters_of, create, public_key_of
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey


class ReadingClauses(ContractBase):
    """The clause about reading a few peers. Its tests are skipped if the backend has no `read_peers`."""

    @clause("C17")
    async def test_read_peers_shows_what_read_shows(self, backend: Backend, ifname: str) -> None:
        """For no peer, one, some and all, one of which has too many allowed IPs for one netlink message."""
        reader = _reader(backend)
        await self._device_with_peers(backend, ifname, 300)
        long = frozenset(Prefix.parse(f"fd10:{n:x}::/32") for n in range(600))
        patches = (
            replace(create(150), allowed_ips=long),
            PeerPatch(public_key=public_key_of(2), persistent_keepalive=9),
        )
        await backend.apply(ifname, DevicePatch(peers=patches))
        for numbers in ((), (150,), (1, 2, 3, 150, 300), range(1, 301)):
            await _check_as_read(reader, backend, ifname, *map(public_key_of, numbers))

    @clause("C17")
    async def test_read_peers_shows_a_session(self, backend: Backend, ifname: str) -> None:
        """Its last handshake, and traffic in both directions."""
        reader = _reader(backend)
        session = await self._peer_with_session(backend, ifname)
        shown = (await reader.read_peers(ifname, {session.public_key}))[session.public_key]
        check_equal(shown.last_handshake, session.last_handshake)
        if shown.rx_bytes < session.rx_bytes or shown.tx_bytes < session.tx_bytes:
            raise AssertionError(f"the counters decreased from {counters_of(session)} to {counters_of(shown)}")

    @clause("C17")
    async def test_read_peers_shows_what_was_just_written(self, backend: Backend, ifname: str) -> None:
        """Peers that were added, changed and removed, not a cached state."""
        reader = _reader(backend)
        keys = [public_key_of(number) for number in (1, 2, 3)]
        await self._device_with_peers(backend, ifname, 2)
        await _check_as_read(reader, backend, ifname, *keys[:2])
        changed = PeerPatch(public_key=keys[0], persistent_keepalive=7)
        await backend.apply(ifname, DevicePatch(peers=(create(3), changed), remove_peers=frozenset({keys[1]})))
        await _check_as_read(reader, backend, ifname, keys[0], keys[2])
        check_equal(await reader.read_peers(ifname, {keys[1]}), {})

    @clause("C17")
    async def test_read_peers_leaves_out_what_is_absent(self, backend: Backend, ifname: str) -> None:
        """Absent peers of a device, and all peers of an absent device."""
        reader = _reader(backend)
        await self._device_with_peers(backend, ifname, 2)
        present, absent = public_key_of(2), public_key_of(3)
        check_equal(set(await reader.read_peers(ifname, {present, absent})), {present})
        check_equal(await reader.read_peers(ifname, {absent}), {})
        await backend.delete(ifname)
        check_equal(await reader.read_peers(ifname, {present}), {})


def _reader(backend: Backend) -> PeerReader:
    if isinstance(backend, PeerReader):
        return backend
    pytest.skip("C17: the backend has no `read_peers`, which is optional")


async def _check_as_read(reader: PeerReader, backend: Backend, ifname: str, *keys: PublicKey) -> None:
    """Fail unless `read_peers` shows all these peers, each as `read` shows it."""
    state = await backend.read(ifname)
    shown = await reader.read_peers(ifname, frozenset(keys))
    check_equal(dict(shown), {key: state.peers[key] for key in keys} if state else None)
