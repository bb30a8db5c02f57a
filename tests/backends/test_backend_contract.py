"""The backend contract kit passes a backend that keeps the contract, and names the clause that a broken one breaks."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from msgspec.structs import replace

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.backend import Backend
from ikto_core.errors import BackendError
from ikto_core.keys import PrivateKey
from ikto_core.model import DevicePatch, DeviceState, PeerPatch
from ikto_core.testing.backend_contract import BackendContract
from ikto_core.testing.clauses import CLAUSES, clause_of

WG = "wg0"


class CreatesAnew(FakeBackend):
    async def create(self, ifname: str) -> None:
        self.host.delete(ifname)
        await super().create(ifname)


class ReadsAbsentAsEmpty(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        return await super().read(ifname) or DeviceState()


class MakesWhatItIsAppliedTo(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        self.host.create(ifname)
        await super().apply(ifname, patch)


class TakesNoneForZero(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        peers = tuple(replace(peer, persistent_keepalive=peer.persistent_keepalive or 0) for peer in patch.peers)
        await super().apply(ifname, replace(patch, fwmark=patch.fwmark or 0, peers=peers))


class DropsSecondaryAddresses(FakeBackend):
    """Linux, where promote_secondaries is off."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        state = self.host.device(ifname)
        networks = {address.network for address in patch.remove_addresses}
        gone = (
            frozenset(address for address in state.addresses if address.network in networks) if state else frozenset()
        )
        self.host.tamper(ifname, DevicePatch(remove_addresses=gone))


class RemovesFirst(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, DevicePatch(remove_peers=patch.remove_peers))
        await super().apply(ifname, replace(patch, remove_peers=frozenset()))


class ReplacesPeers(FakeBackend):
    """As `wg setconf` does."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        before = self.host.device(ifname)
        await super().apply(ifname, patch)
        after = self.host.device(ifname)
        if not (before and after):
            return
        peers = tuple(
            PeerPatch(
                public_key=peer.public_key,
                create=True,
                allowed_ips=peer.allowed_ips,
                endpoint=peer.endpoint,
                persistent_keepalive=peer.persistent_keepalive,
                preshared_key=peer.preshared_key,
            )
            for peer in after.peers.values()
        )
        self.host.tamper(ifname, DevicePatch(remove_peers=frozenset(after.peers)))
        self.host.tamper(ifname, DevicePatch(peers=peers))


class TwoOwners(FakeBackend):
    """Reads from its own books, in which nobody loses a prefix."""

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        given = {peer.public_key: peer.allowed_ips for _, patch in self.host.writes for peer in patch.peers}
        if state is None:
            return None
        peers = {key: replace(peer, allowed_ips=given.get(key) or frozenset()) for key, peer in state.peers.items()}
        return replace(state, peers=peers)


class AddsWhatItShouldUpdate(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, replace(patch, peers=tuple(replace(peer, create=True) for peer in patch.peers)))


class LeaksNativeErrors(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        except BackendError as error:
            if "listen_port" in str(error):
                raise OverflowError(str(error)) from error
            raise


class LosesIPv6Endpoints(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        if state is None:
            return None
        shown = {
            key: replace(peer, endpoint=None if peer.endpoint and ":" in peer.endpoint.host else peer.endpoint)
            for key, peer in state.peers.items()
        }
        return replace(state, peers=shown)


class Kit(BackendContract):
    examples = settings(max_examples=20, phases=[Phase.generate])  # to shrink is nice, and slow

    async def establish(self, backend: Backend, ifname: str, peer: PrivateKey) -> None:
        assert isinstance(backend, FakeBackend)
        backend.host.handshake(ifname, peer.public(), 1_700_000_000.0)


async def complaints(broken: type[FakeBackend], clause: str) -> list[str]:
    """Run the clause's tests on a new host each; return what those that fail say."""
    said = []
    for name in dir(Kit):
        test = getattr(Kit(), name)
        if name.startswith("test_") and clause_of(test) == clause:
            more = (3,) if "any_number" in name else ()
            try:
                await test(broken(FakeHost()), WG, *more)
            except AssertionError as error:
                said.append(str(error))
    return said


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (CreatesAnew, "C1"),
        (ReadsAbsentAsEmpty, "C2"),
        (MakesWhatItIsAppliedTo, "C3"),
        (TakesNoneForZero, "C4"),
        (DropsSecondaryAddresses, "C4"),
        (RemovesFirst, "C5"),
        (ReplacesPeers, "C5"),
        (TwoOwners, "C6"),
        (AddsWhatItShouldUpdate, "C7"),
        (LeaksNativeErrors, "C8"),
        (LosesIPv6Endpoints, "round trip"),
    ],
)
async def test_the_kit_names_the_clause_that_a_broken_backend_breaks(broken: type[FakeBackend], clause: str) -> None:
    said = await complaints(broken, clause)
    assert said
    assert all(text.startswith(f"{clause}: {CLAUSES[clause]}") for text in said)


@pytest.mark.parametrize("clause", sorted(CLAUSES))
async def test_every_clause_has_tests_and_the_fake_backend_passes_them(clause: str) -> None:
    assert clause in {clause_of(getattr(Kit, name)) for name in dir(Kit)}
    assert await complaints(FakeBackend, clause) == []


def test_a_third_party_inherits_the_kit_and_skips_a_clause_aloud(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import pytest\n"
        "from hypothesis import settings\n"
        "from ikto_backends.fake import FakeBackend, FakeHost\n"
        "from ikto_core.testing.backend_contract import BackendContract\n"
        "class TestMine(BackendContract):\n"
        "    unsupported = {'C6': 'the vendor forbids it'}\n"
        "    examples = settings(max_examples=2)\n"
        "    @pytest.fixture\n"
        "    async def backend(self):\n"
        "        async with FakeHost().open() as backend:\n"
        "            yield backend\n"
    )
    options = ["-rs", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "C6 is not supported: the vendor forbids it" in ran.stdout
    assert "C5: `establish` is not overridden" in ran.stdout
    assert "4 skipped" in ran.stdout
