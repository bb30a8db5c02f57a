"""The backend contract as tests: inherit `BackendContract`, give it your backend, and run pytest.

    class TestMyBackend(BackendContract):
        @pytest.fixture
        async def backend(self) -> AsyncIterator[Backend]:
            async with open_my_backend(...) as backend:
                yield backend

The tests are async: set `asyncio_mode = "auto"` of pytest-asyncio. Each belongs to a clause of
`ikto_core.backend.Backend`, which it names when it fails.
"""

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import ip_interface
from typing import ClassVar

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from ikto_core.addressing import Endpoint, Prefix
from ikto_core.backend import Backend
from ikto_core.diff import patched
from ikto_core.errors import BackendError, NoSuchDeviceError
from ikto_core.keys import PresharedKey, PrivateKey
from ikto_core.model import NO_PRESHARED_KEY, DevicePatch, DeviceSpec, DeviceState, PeerPatch
from ikto_core.testing.clauses import CLAUSES, clause, clause_of
from ikto_core.testing.devices import (
    becomes,
    becomes_in_turn,
    create,
    equal,
    fresh,
    handshake_of,
    owned,
    peer_of,
    private_key_of,
    public_key_of,
    refused,
    shown,
    spec_of,
    spec_pairs,
)


class BackendContract:
    """What every backend shows. Give the fixture `backend`; the device `ifname` is made and deleted at will."""

    unsupported: ClassVar[Mapping[str, str]] = {}  # clause -> why this backend can't keep it; its tests are skipped
    listen_ports: ClassVar[Sequence[int]] = range(42000, 42016)  # UDP ports that nobody else uses
    examples: ClassVar[settings] = settings(max_examples=50)  # of the round trip of any two specs

    @pytest.fixture
    def ifname(self) -> str:
        """Return the name of a device that the tests may do anything to."""
        return "ikto-kit0"

    @pytest.fixture(autouse=True)
    def _supported(self, request: pytest.FixtureRequest) -> None:
        name = clause_of(request.function)
        if unknown := self.unsupported.keys() - CLAUSES.keys():
            pytest.fail(f"`unsupported` names no clause of the contract: {sorted(unknown)}")
        if name in self.unsupported:
            pytest.skip(f"{name} is not supported: {self.unsupported[name]}")

    async def establish(self, backend: Backend, ifname: str, peer: PrivateKey) -> None:  # noqa: ARG002 - for who overrides it
        """Complete a handshake with this peer, who speaks first; override it (docs/backends.md) or C5 is half shown."""
        pytest.skip("C5: `establish` is not overridden, so there is no session to keep")

    @clause("C1")
    async def test_create_makes_a_device_that_is_down_and_empty(self, backend: Backend, ifname: str) -> None:
        """A new device shows nothing of an old one."""
        await self._become(backend, ifname, 2)
        new = await fresh(backend, ifname)
        equal((new.up, new.private_key, new.peers, new.addresses), (False, None, {}, frozenset()))

    @clause("C1")
    async def test_create_of_a_device_that_exists_changes_nothing(self, backend: Backend, ifname: str) -> None:
        """Key, port, addresses, peers and link stay."""
        before = await self._become(backend, ifname, 2)
        await backend.create(ifname)
        equal(await shown(backend, ifname), before)

    @clause("C2")
    async def test_an_absent_device_reads_as_none_and_can_be_deleted(self, backend: Backend, ifname: str) -> None:
        """Deleted once or twice, it is not there."""
        await fresh(backend, ifname)
        for _ in range(2):
            await backend.delete(ifname)
            equal(await backend.read(ifname), None)

    @clause("C3")
    async def test_apply_to_an_absent_device_is_an_error(self, backend: Backend, ifname: str) -> None:
        """And does not make one."""
        await backend.delete(ifname)
        for patch in (DevicePatch(fwmark=1), DevicePatch(peers=(create(1),)), DevicePatch(up=True)):
            await refused(backend.apply(ifname, patch), NoSuchDeviceError)
        equal(await backend.read(ifname), None)

    @clause("C4")
    async def test_a_patch_of_one_member_changes_that_member(self, backend: Backend, ifname: str) -> None:
        """Nothing else of the device, none of its peers."""
        await self._become(backend, ifname, 3)
        port = self.listen_ports[1]
        for change in ({"private_key": private_key_of(2)}, {"listen_port": port}, {"mtu": 1380}, {"fwmark": 0}, {}):
            before = await shown(backend, ifname)
            await backend.apply(ifname, replace(DevicePatch(), **change))
            equal(await shown(backend, ifname), replace(before, **change))

    @clause("C4")
    async def test_a_peer_patch_of_one_member_changes_that_member(self, backend: Backend, ifname: str) -> None:
        """Nothing else of the peer, no other peer."""
        await self._become(backend, ifname, 3)
        key = public_key_of(3)
        for patch in (
            PeerPatch(public_key=key),
            PeerPatch(public_key=key, allowed_ips=frozenset({Prefix.parse("fd78::/48")})),
            PeerPatch(public_key=key, allowed_ips=frozenset()),
            PeerPatch(public_key=key, endpoint=Endpoint.parse("198.51.100.1:1")),
            PeerPatch(public_key=key, endpoint=Endpoint.parse("[2001:db8::ffff]:65535")),
            PeerPatch(public_key=key, persistent_keepalive=25),
            PeerPatch(public_key=key, persistent_keepalive=0),
            PeerPatch(public_key=key, preshared_key=PresharedKey(bytes([5] * 32))),
            PeerPatch(public_key=key, preshared_key=NO_PRESHARED_KEY),
            PeerPatch(public_key=key, create=True),
        ):
            before = await shown(backend, ifname)
            await backend.apply(ifname, DevicePatch(peers=(patch,)))
            equal(
                await shown(backend, ifname),
                replace(before, peers={**before.peers, key: patched(before.peers[key], patch)}),
            )

    @clause("C4")
    async def test_addresses_of_one_subnet_come_and_go(self, backend: Backend, ifname: str) -> None:
        """Linux deletes an IPv4 subnet's later addresses with the first one, unless told to promote them."""
        present = (await self._become(backend, ifname, 0)).addresses
        for texts in (["10.78.0.2/16"], ["10.78.0.1/16", "10.78.0.3/16", "fd78::1/64", "fd78::2/64"], []):
            wanted = frozenset(map(ip_interface, texts))
            await backend.apply(ifname, DevicePatch(add_addresses=wanted, remove_addresses=present))
            present = (await shown(backend, ifname)).addresses
            equal(present, wanted)

    @clause("C4")
    async def test_the_link_goes_down_and_up_with_all_its_peers(self, backend: Backend, ifname: str) -> None:
        """Again and again, with no other change."""
        before = await self._become(backend, ifname, 2)
        for up in (True, False, False, True):
            await backend.apply(ifname, DevicePatch(up=up))
            equal(await shown(backend, ifname), replace(before, up=up))

    @clause("C5")
    async def test_a_peer_both_added_and_removed_is_absent(self, backend: Backend, ifname: str) -> None:
        """Removals come last."""
        await self._become(backend, ifname, 1)
        keys = frozenset({public_key_of(1), public_key_of(2)})
        await backend.apply(ifname, DevicePatch(peers=(create(1), create(2)), remove_peers=keys))
        equal((await shown(backend, ifname)).peers, {})

    @clause("C5")
    async def test_no_write_drops_the_session_of_a_peer_that_stays(self, backend: Backend, ifname: str) -> None:
        """Neither its own changes, nor those of other peers or of the device."""
        addresses = (await self._become(backend, ifname, 2)).addresses
        key = (peer := private_key_of(200)).public()
        again = PeerPatch(public_key=key, create=True, allowed_ips=frozenset({Prefix.parse("10.79.0.0/16")}))
        await backend.apply(ifname, DevicePatch(peers=(again,)))
        await self.establish(backend, ifname, peer)
        established = await handshake_of(backend, ifname, key)
        for patch in (
            DevicePatch(peers=(create(3), again)),
            DevicePatch(peers=(PeerPatch(public_key=key, allowed_ips=frozenset(), persistent_keepalive=9),)),
            DevicePatch(fwmark=9, up=True, add_addresses=addresses, remove_peers=frozenset({public_key_of(2)})),
        ):
            await backend.apply(ifname, patch)
            if await handshake_of(backend, ifname, key) < established:
                raise AssertionError(f"the session is gone after {patch}")

    @clause("C6")
    async def test_a_peer_that_gains_a_prefix_takes_it_from_its_owner(self, backend: Backend, ifname: str) -> None:
        """The old owner is not named, and keeps its other prefixes."""
        await self._become(backend, ifname, 2)
        moved, *kept = sorted(peer_of(1).allowed_ips)
        gains = PeerPatch(public_key=public_key_of(2), allowed_ips=frozenset({moved}))
        await backend.apply(ifname, DevicePatch(peers=(gains,)))
        equal(await owned(backend, ifname), {1: frozenset(kept), 2: frozenset({moved})})

    @clause("C6")
    async def test_two_peers_swap_their_prefixes_in_one_patch(self, backend: Backend, ifname: str) -> None:
        """Whichever is written first."""
        for order in (1, -1):
            await self._become(backend, ifname, 2)
            swapped = {1: peer_of(2).allowed_ips, 2: peer_of(1).allowed_ips}
            patches = [PeerPatch(public_key=public_key_of(n), allowed_ips=ips) for n, ips in swapped.items()]
            await backend.apply(ifname, DevicePatch(peers=tuple(patches[::order])))
            equal(await owned(backend, ifname), swapped)

    @clause("C6")
    async def test_a_prefix_within_another_peers_prefix_moves_nothing(self, backend: Backend, ifname: str) -> None:
        """Only an equal prefix has one owner; of nested ones the longest match decides."""
        await self._become(backend, ifname, 2)
        nested = {1: frozenset({Prefix.parse("10.0.0.0/8")}), 2: frozenset({Prefix.parse("10.0.0.0/9")})}
        patches = (PeerPatch(public_key=public_key_of(n), allowed_ips=ips) for n, ips in nested.items())
        await backend.apply(ifname, DevicePatch(peers=tuple(patches)))
        equal(await owned(backend, ifname), nested)

    @clause("C7")
    async def test_what_names_an_absent_peer_does_nothing(self, backend: Backend, ifname: str) -> None:
        """Not even where it names a prefix that another peer has."""
        before = await self._become(backend, ifname, 2)
        thief = PeerPatch(public_key=public_key_of(3), allowed_ips=peer_of(1).allowed_ips, persistent_keepalive=5)
        await backend.apply(ifname, DevicePatch(peers=(thief,), remove_peers=frozenset({public_key_of(4)})))
        equal(await shown(backend, ifname), before)

    @clause("C8")
    async def test_an_impossible_name_is_a_backend_error(self, backend: Backend, ifname: str) -> None:
        """Linux takes 15 bytes."""
        await refused(backend.create(ifname.ljust(16, "x")), BackendError)

    @clause("C8")
    async def test_a_patch_that_fails_can_be_read_and_healed(self, backend: Backend, ifname: str) -> None:
        """A port that is none fails; what was applied before it does not matter after another read and diff."""
        await self._become(backend, ifname, 1)
        await refused(backend.apply(ifname, DevicePatch(listen_port=70000, peers=(create(2),))), BackendError)
        await becomes(backend, ifname, spec_of(3, listen_port=self.listen_ports[0]))

    @clause("round trip")
    @pytest.mark.parametrize("peers", [0, 1, 1000])
    async def test_any_number_of_peers_is_shown_and_goes_again(self, backend: Backend, ifname: str, peers: int) -> None:
        """Added in one patch, removed in another."""
        await self._become(backend, ifname, peers)
        await becomes(backend, ifname, spec_of(0, listen_port=self.listen_ports[0]))

    @clause("round trip")
    async def test_any_device_becomes_any_other(self, backend: Backend, ifname: str) -> None:
        """Hypothesis is synchronous: it runs in a thread, and the backend in the loop it was opened in."""
        loop = asyncio.get_running_loop()

        @settings(self.examples, deadline=None)
        @given(specs=spec_pairs(self.listen_ports))
        def example(specs: tuple[DeviceSpec, DeviceSpec]) -> None:
            asyncio.run_coroutine_threadsafe(becomes_in_turn(backend, ifname, *specs), loop).result()

        await asyncio.to_thread(example)

    async def _become(self, backend: Backend, ifname: str, peers: int) -> DeviceState:
        """Make the device anew, with peers 1 to `peers`."""
        await fresh(backend, ifname)
        return await becomes(backend, ifname, spec_of(peers, listen_port=self.listen_ports[0]))
