"""A next key is on the device beside the present key, and gets the allowed IPs as soon as it is in use."""

import pytest
from msgspec.structs import replace

from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.device.reconciler import Reconciler
from ikto_core.mesh.records import PeerRecord
from ikto_core.testing.devices import public_key_of
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey
from ikto_core.values.removal_brake import BrakeLimits
from tests.device.reconciling import WG, Scene, mesh, record, subnet, synced

NEXT = 200
KEY, NEXT_KEY = public_key_of(2), public_key_of(NEXT)
SUBNETS = frozenset({Prefix.parse(subnet(2))})
NONE: frozenset[Prefix] = frozenset()
ROAMED = Endpoint("192.0.2.99", 7)
NOW = 2_000_000_000.0


def announcing(number: int = 2, next_key: int = NEXT) -> PeerRecord:
    return replace(record(number), next_public_key=public_key_of(next_key))


async def announced(*, limits: BrakeLimits | None = None) -> Scene:
    """Return a scene in which a roamed peer has announced its next key."""
    scene = await synced(*mesh(4)) if limits is None else await synced(*mesh(4), limits=limits)
    scene.host.roam(WG, KEY, ROAMED)
    scene.host.handshake(WG, KEY, NOW)
    await scene.reconcile_fully()
    scene.reset_counts()
    scene.put(announcing())
    await scene.reconcile()
    return scene


async def test_a_next_key_follows_the_endpoint_of_the_present_key() -> None:
    scene = await announced()
    assert scene.patches == [
        DevicePatch(
            peers=(PeerPatch(public_key=NEXT_KEY, create=True, allowed_ips=NONE, endpoint=ROAMED),),
        )
    ]
    assert (scene.shown[KEY], scene.shown[NEXT_KEY]) == (SUBNETS, NONE)
    elsewhere = Endpoint("192.0.2.98", 8)
    scene.host.roam(WG, KEY, elsewhere)
    await scene.reconcile_fully()
    assert scene.device.peers[NEXT_KEY].endpoint == elsewhere
    scene.reset_counts()
    await scene.reconcile_fully()
    assert scene.patches == []
    assert scene.drift == 0


async def test_a_next_key_has_no_persistent_keepalive() -> None:
    scene = Scene()
    scene.reconciler = Reconciler(scene.backend, WG, endpoints=EndpointTracker(persistent_keepalive=25))
    scene.set_target()
    scene.put(announcing())
    await scene.reconcile()
    assert scene.device.peers[KEY].persistent_keepalive == 25
    assert scene.device.peers[NEXT_KEY].persistent_keepalive == 0
    scene.put(record(2, key=NEXT))
    await scene.reconcile()
    assert scene.device.peers[NEXT_KEY].persistent_keepalive == 25


async def test_a_record_with_the_next_key_is_one_patch_without_a_read() -> None:
    scene = await announced()
    scene.reset_counts()
    scene.put(record(2, key=NEXT))
    await scene.reconcile()
    assert scene.patches == [
        DevicePatch(
            peers=(PeerPatch(public_key=NEXT_KEY, allowed_ips=SUBNETS),),
            remove_peers=frozenset({KEY}),
        )
    ]
    assert scene.host.calls.total() == 1


async def test_a_next_key_with_the_latest_handshake_gets_the_prefixes_before_the_bucket_changes() -> None:
    scene = await announced()
    scene.host.handshake(WG, NEXT_KEY, NOW - 1)
    await scene.reconcile_fully()
    assert (scene.shown[KEY], scene.shown[NEXT_KEY]) == (SUBNETS, NONE)
    scene.host.handshake(WG, NEXT_KEY, NOW + 1)
    await scene.reconcile_fully()
    assert (scene.shown[KEY], scene.shown[NEXT_KEY]) == (NONE, SUBNETS)
    assert scene.drift == 0, "the change is Ikto's own"
    scene.reset_counts()
    await scene.reconcile_fully()
    assert scene.patches == []
    scene.host.handshake(WG, KEY, NOW + 2)  # it has switched back
    await scene.reconcile_fully()
    assert (scene.shown[KEY], scene.shown[NEXT_KEY]) == (SUBNETS, NONE)
    assert scene.drift == 0


async def test_a_peer_that_announces_the_key_of_another_peer_keeps_its_prefixes() -> None:
    scene = await announced()
    scene.host.handshake(WG, NEXT_KEY, NOW + 1)
    await scene.reconcile_fully()
    scene.put(record(2, key=NEXT), announcing(3))
    await scene.reconcile_fully()
    assert scene.shown == scene.wanted
    assert scene.shown[public_key_of(3)] == {Prefix.parse(subnet(3))}


@pytest.mark.parametrize("announce", [True, False])
async def test_replaced_keys_are_removed_at_once_whatever_their_number(announce: bool) -> None:
    scene = await synced(*mesh(4), limits=BrakeLimits(at_least=0, share=0.0))
    if announce:
        scene.put(*(announcing(number, NEXT + number) for number in range(1, 5)))
        await scene.reconcile()
    scene.put(*(record(number, key=NEXT + number) for number in range(1, 5)))
    await scene.reconcile()
    assert scene.shown == scene.wanted
    assert not scene.reconciler.brake.pending


@pytest.mark.parametrize("followed", [True, False])
@pytest.mark.parametrize("full_passes", [True, False])
async def test_keys_and_next_keys_that_change_with_each_write_do_not_pile_up(followed: bool, full_passes: bool) -> None:
    scene = await synced(*mesh(4), limits=BrakeLimits(at_least=0, share=0.0))
    scene.reconciler.set_bucket_followed(followed=followed)
    for number in range(30):
        announced = public_key_of(NEXT + 100 + number)
        scene.put(replace(record(2, key=NEXT + number), next_public_key=announced))
        await (scene.reconcile_fully() if full_passes else scene.reconcile())
        assert len(scene.shown) == (4 if followed else 5)
        assert not scene.reconciler.pending_removals
    assert scene.shown.keys() - {announced} == scene.wanted.keys()


async def test_a_peer_without_prefixes_that_ikto_did_not_put_there_counts_as_a_removal() -> None:
    """Another program may be about to give it some."""
    scene = await synced(*mesh(4), limits=BrakeLimits(at_least=0, share=0.0))
    foreign = PeerPatch(public_key=public_key_of(900), create=True, allowed_ips=NONE)
    scene.tamper(DevicePatch(peers=(foreign,)))
    await scene.reconcile_fully()
    assert scene.reconciler.pending_removals == {foreign.public_key}


async def test_of_two_keys_of_a_peer_that_leaves_the_one_that_has_the_prefixes_is_pending() -> None:
    scene = await announced(limits=BrakeLimits(at_least=0, share=0.0))
    scene.host.handshake(WG, NEXT_KEY, NOW + 1)
    await scene.reconcile_fully()
    scene.delete(2)
    await scene.reconcile()
    assert scene.reconciler.pending_removals == {NEXT_KEY}
    assert scene.shown[NEXT_KEY] == SUBNETS
    assert KEY not in scene.shown


async def test_a_peer_that_leaves_is_no_replaced_key() -> None:
    scene = await synced(*mesh(4), limits=BrakeLimits(at_least=0, share=0.0))
    scene.delete(1)
    scene.put(record(2, key=NEXT))
    await scene.reconcile()
    assert scene.reconciler.brake.pending == {public_key_of(1)}


async def test_while_the_bucket_is_followed_a_next_key_is_not_on_the_device_before_it_is_used() -> None:
    scene = await synced(*mesh(4))
    scene.reconciler.set_bucket_followed(followed=True)
    scene.put(announcing())
    await scene.reconcile()
    await scene.reconcile_fully()
    assert NEXT_KEY not in scene.device.peers
    scene.reset_counts()
    scene.put(record(2, key=NEXT))
    await scene.reconcile()
    (patch,) = scene.patches
    assert [(peer.public_key, peer.allowed_ips) for peer in patch.peers] == [(NEXT_KEY, SUBNETS)]
    assert patch.remove_peers == {KEY}


async def test_next_keys_are_put_on_the_device_when_the_bucket_is_out_of_sight_and_stay_there() -> None:
    scene = await synced(*mesh(4))
    scene.reconciler.set_bucket_followed(followed=True)
    scene.put(announcing())
    await scene.reconcile()
    scene.reconciler.set_bucket_followed(followed=False)
    await scene.reconcile()
    assert scene.shown[NEXT_KEY] == NONE
    scene.reconciler.set_bucket_followed(followed=True)
    await scene.reconcile_fully()
    assert NEXT_KEY in scene.device.peers
    assert scene.drift == 0


@pytest.mark.parametrize("session", [True, False])
async def test_a_peer_whose_session_ends_with_its_key_is_contacted_by_the_new_one(session: bool) -> None:
    scene = await synced(*mesh(4))
    if session:
        scene.host.handshake(WG, KEY, scene.now())
        await scene.reconcile_fully()
    contacted: set[PublicKey] = set()
    scene.reconciler.on_contact = contacted.update
    scene.put(record(2, key=NEXT))
    await scene.reconcile()
    assert contacted == ({NEXT_KEY} if session else set())
