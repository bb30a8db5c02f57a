"""Tests of C4 to C7, C12 and C14: peers, their sessions and their allowed IPs."""

from typing import ClassVar

from msgspec.structs import replace

from ikto_core.device.backend import Backend
from ikto_core.device.diff import patched
from ikto_core.device.model import NO_PRESHARED_KEY, DevicePatch, PeerPatch
from ikto_core.testing.clauses import clause
from ikto_core.testing.contract_base import ContractBase
from ikto_core.testing.devices import (
    allowed_ips_by_number,
    check_equal,
    counters_of,
    create,
    peer_of,
    private_key_of,
    public_key_of,
    read_device,
    session_of,
)
from ikto_core.testing.time_zone import in_time_zone
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PresharedKey

EARLIEST_S, LATEST_S = 1_500_000_000, 5_000_000_000
"""The years 2017 to 2128, in seconds since the epoch."""


class PeerClauses(ContractBase):
    """Clauses about the peers of a device."""

    local_link: ClassVar[str] = "lo"  # a link of this host, for the scope of a link-local address

    @clause("C4")
    async def test_a_peer_patch_of_one_field_changes_that_field_only(self, backend: Backend, ifname: str) -> None:
        """The rest of the peer and the other peers are unchanged."""
        await self._device_with_peers(backend, ifname, 3)
        key = public_key_of(3)
        for patch in (
            PeerPatch(public_key=key),
            PeerPatch(public_key=key, persistent_keepalive=25),  # first: the later ones must not reset it
            PeerPatch(public_key=key, preshared_key=PresharedKey(bytes([5] * 32))),
            PeerPatch(public_key=key, allowed_ips=frozenset({Prefix.parse("fd78::/48")})),
            PeerPatch(public_key=key, allowed_ips=frozenset()),
            PeerPatch(public_key=key, endpoint=Endpoint.parse("198.51.100.1:1")),
            PeerPatch(public_key=key, endpoint=Endpoint.parse("[2001:db8::ffff]:65535")),
            PeerPatch(public_key=key, create=True),
            PeerPatch(public_key=key, persistent_keepalive=0),
            PeerPatch(public_key=key, preshared_key=NO_PRESHARED_KEY),
        ):
            before = await read_device(backend, ifname)
            await backend.apply(ifname, DevicePatch(peers=(patch,)))
            check_equal(
                await read_device(backend, ifname),
                replace(before, peers={**before.peers, key: patched(before.peers[key], patch)}),
            )

    @clause("C5")
    async def test_a_peer_both_added_and_removed_is_absent(self, backend: Backend, ifname: str) -> None:
        """Removals are carried out last."""
        await self._device_with_peers(backend, ifname, 1)
        keys = frozenset({public_key_of(1), public_key_of(2)})
        await backend.apply(ifname, DevicePatch(peers=(create(1), create(2)), remove_peers=keys))
        check_equal((await read_device(backend, ifname)).peers, {})

    @clause("C5")
    async def test_no_write_drops_the_session_of_a_peer_that_stays(self, backend: Backend, ifname: str) -> None:
        """Writes to the peer itself, to other peers and to the device, with changes and without."""
        session = await self._peer_with_session(backend, ifname)
        addresses = (await read_device(backend, ifname)).addresses
        again = PeerPatch(public_key=session.public_key, create=True, allowed_ips=session.allowed_ips)
        for patch in (
            DevicePatch(peers=(again,)),
            DevicePatch(private_key=private_key_of(1), listen_port=self.listen_ports[0]),
            DevicePatch(peers=(create(3), replace(again, allowed_ips=frozenset({Prefix.parse("10.79.0.0/16")})))),
            DevicePatch(peers=(PeerPatch(public_key=session.public_key, persistent_keepalive=9),)),
            DevicePatch(
                fwmark=9, mtu=1300, up=True, add_addresses=addresses, remove_peers=frozenset({public_key_of(2)})
            ),
        ):
            await backend.apply(ifname, patch)
            after = await session_of(backend, ifname, session.public_key)
            if after.last_handshake != session.last_handshake:
                raise AssertionError("the session was dropped by a write that does not remove the peer")
            if after.endpoint != session.endpoint:
                raise AssertionError(f"a write set the endpoint {session.endpoint} of the session to {after.endpoint}")

    @clause("C6")
    async def test_a_prefix_given_to_a_peer_is_removed_from_its_owner(self, backend: Backend, ifname: str) -> None:
        """The patch does not name the old owner, which keeps its other prefixes."""
        await self._device_with_peers(backend, ifname, 2)
        moved, *kept = sorted(peer_of(1).allowed_ips)
        gains = PeerPatch(public_key=public_key_of(2), allowed_ips=frozenset({moved}))
        await backend.apply(ifname, DevicePatch(peers=(gains,)))
        check_equal(await allowed_ips_by_number(backend, ifname), {1: frozenset(kept), 2: frozenset({moved})})

    @clause("C6")
    async def test_two_peers_swap_their_prefixes_in_one_patch(self, backend: Backend, ifname: str) -> None:
        """In either order of the peers."""
        for order in (1, -1):
            await self._device_with_peers(backend, ifname, 2)
            swapped = {1: peer_of(2).allowed_ips, 2: peer_of(1).allowed_ips}
            patches = [PeerPatch(public_key=public_key_of(n), allowed_ips=ips) for n, ips in swapped.items()]
            await backend.apply(ifname, DevicePatch(peers=tuple(patches[::order])))
            check_equal(await allowed_ips_by_number(backend, ifname), swapped)

    @clause("C6")
    async def test_nested_prefixes_can_belong_to_different_peers(self, backend: Backend, ifname: str) -> None:
        """Only equal prefixes exclude each other; among nested ones WireGuard uses the longest match."""
        await self._device_with_peers(backend, ifname, 2)
        nested = {1: frozenset({Prefix.parse("10.0.0.0/8")}), 2: frozenset({Prefix.parse("10.0.0.0/9")})}
        patches = (PeerPatch(public_key=public_key_of(n), allowed_ips=ips) for n, ips in nested.items())
        await backend.apply(ifname, DevicePatch(peers=tuple(patches)))
        check_equal(await allowed_ips_by_number(backend, ifname), nested)

    @clause("C7")
    async def test_a_patch_for_an_absent_peer_does_nothing(self, backend: Backend, ifname: str) -> None:
        """Not even if it names a prefix that another peer has."""
        before = await self._device_with_peers(backend, ifname, 2)
        absent = PeerPatch(public_key=public_key_of(3), allowed_ips=peer_of(1).allowed_ips, persistent_keepalive=5)
        await backend.apply(ifname, DevicePatch(peers=(absent,), remove_peers=frozenset({public_key_of(4)})))
        check_equal(await read_device(backend, ifname), before)

    @clause("C6")
    async def test_a_peer_changes_its_key(self, backend: Backend, ifname: str) -> None:
        """One patch adds the new key with all the prefixes and removes the old key, which takes no prefix with it."""
        await self._device_with_peers(backend, ifname, 2)
        successor = replace(create(9), allowed_ips=peer_of(1).allowed_ips, endpoint=peer_of(1).endpoint)
        await backend.apply(ifname, DevicePatch(peers=(successor,), remove_peers=frozenset({public_key_of(1)})))
        check_equal(
            await allowed_ips_by_number(backend, ifname), {2: peer_of(2).allowed_ips, 9: peer_of(1).allowed_ips}
        )

    @clause("C12")
    async def test_a_peer_without_a_handshake_shows_none(self, backend: Backend, ifname: str) -> None:
        """Its last handshake is None, not a time in 1970, and its counters are zero."""
        await self._device_with_peers(backend, ifname, 3)
        state = await backend.read(ifname)
        for peer in state.peers.values() if state else ():
            check_equal(peer, replace(peer, last_handshake=None, rx_bytes=0, tx_bytes=0))

    @clause("C12")
    async def test_traffic_is_counted_and_other_writes_do_not_reset_it(self, backend: Backend, ifname: str) -> None:
        """A handshake is traffic in both directions."""
        before = await self._peer_with_session(backend, ifname)
        for patch in (
            DevicePatch(fwmark=9),
            DevicePatch(peers=(create(3),), remove_peers=frozenset({public_key_of(2)})),
        ):
            await backend.apply(ifname, patch)
            after = await session_of(backend, ifname, before.public_key)
            if after.rx_bytes < before.rx_bytes or after.tx_bytes < before.tx_bytes:
                raise AssertionError(f"the counters decreased from {counters_of(before)} to {counters_of(after)}")

    @clause("C12")
    async def test_a_session_of_one_peer_is_not_shown_at_others(self, backend: Backend, ifname: str) -> None:
        """Handshakes and counters are a peer's own, not the device's."""
        session = await self._peer_with_session(backend, ifname)
        state = await backend.read(ifname)
        for key, peer in state.peers.items() if state else ():
            if key != session.public_key and (peer.last_handshake or peer.rx_bytes or peer.tx_bytes):
                text = f"a peer without a handshake shows {counters_of(peer)}, when another peer has one"
                raise AssertionError(text)

    @clause("C20")
    async def test_a_handshake_has_a_time_in_seconds_and_counted_bytes(self, backend: Backend, ifname: str) -> None:
        """The peer initiates it: the device receives 148 bytes or more, and sends an answer of 92."""
        peer = await self._peer_with_session(backend, ifname)
        if not EARLIEST_S < (peer.last_handshake or 0.0) < LATEST_S:
            raise AssertionError(f"last_handshake is {peer.last_handshake}: not seconds since 1970 of these years")
        if not (peer.rx_bytes >= 148 and 92 <= peer.tx_bytes < 8 * 92 and peer.tx_bytes < peer.rx_bytes):
            raise AssertionError(
                f"rx_bytes is {peer.rx_bytes}, tx_bytes {peer.tx_bytes} after a handshake that the peer initiated: "
                "expected at least 148 received, and fewer sent, in bytes"
            )
        with in_time_zone("KIT-5:30"):
            there = await session_of(backend, ifname, peer.public_key)
        if there.last_handshake != peer.last_handshake:
            raise AssertionError(
                f"last_handshake is {peer.last_handshake}, and {there.last_handshake} in another time zone: not of UTC"
            )

    @clause("C14")
    async def test_a_link_local_endpoint_keeps_its_scope(self, backend: Backend, ifname: str) -> None:
        """Without the scope the link of the address is unknown."""
        await self._device_with_peers(backend, ifname, 0)
        endpoint = Endpoint.parse(f"[fe80::1%{self.local_link}]:9")
        await backend.apply(ifname, DevicePatch(peers=(replace(create(1), endpoint=endpoint),)))
        check_equal((await read_device(backend, ifname)).peers[public_key_of(1)].endpoint, endpoint)
