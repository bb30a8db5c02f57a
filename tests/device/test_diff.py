"""A diff writes every difference and nothing else."""

from collections.abc import Mapping
from ipaddress import ip_interface

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_backends.fake import FakeDevice
from ikto_core.device.diff import diff, diff_peers, patched, patched_device, restoration
from ikto_core.device.model import (
    NO_PRESHARED_KEY,
    DevicePatch,
    DeviceSpec,
    DeviceState,
    PeerPatch,
    PeerSpec,
    PeerState,
)
from ikto_core.testing.devices import expected_state, peer_of, public_key_of, spec_of
from ikto_core.testing.strategies import device_specs, device_states, peer_maps, peer_specs, prefixes, public_keys
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PresharedKey, PrivateKey, PublicKey
from tests.effort import max_examples

KEYS = st.sampled_from([public_key_of(number) for number in range(1, 6)])
PREFIXES = st.sampled_from([prefix for number in range(1, 6) for prefix in sorted(peer_of(number).allowed_ips)])
PEERS = peer_maps(KEYS, PREFIXES)
SPECS = device_specs(peers=PEERS)
STATES = device_states(peers=PEERS)
EXAMPLES = settings(max_examples=max_examples(50), deadline=None)


def written(state: DeviceState, patch: DevicePatch) -> DeviceState:
    """Return the state of a fake device after the patch."""
    device = FakeDevice(state)
    list(device.write(patch))
    return device.state


def shown(spec: PeerSpec, **others: object) -> PeerState:
    state = patched(None, PeerPatch(public_key=spec.public_key, allowed_ips=spec.allowed_ips, endpoint=spec.endpoint))
    return replace(state, preshared_key=spec.preshared_key, **others)


@EXAMPLES
@given(SPECS, STATES)
def test_the_patched_device_equals_the_spec(spec: DeviceSpec, state: DeviceState) -> None:
    after = written(state, diff(spec, state))
    assert after == expected_state(spec, state)
    assert not diff(spec, after)


@EXAMPLES
@given(SPECS, STATES)
def test_writing_a_patch_twice_changes_nothing(spec: DeviceSpec, state: DeviceState) -> None:
    patch = diff(spec, state)
    assert written(written(state, patch), patch) == written(state, patch)


@EXAMPLES
@given(SPECS, STATES)
def test_unchanged_peers_are_not_written(spec: DeviceSpec, state: DeviceState) -> None:
    after = written(state, diff(spec, state))
    for patch in diff(spec, state).peers:
        assert state.peers.get(patch.public_key) != after.peers[patch.public_key]


@EXAMPLES
@given(SPECS, STATES)
def test_only_absent_peers_are_created(spec: DeviceSpec, state: DeviceState) -> None:
    created = {patch.public_key for patch in diff(spec, state).peers if patch.create}
    assert created == spec.peers.keys() - state.peers.keys()


@EXAMPLES
@given(SPECS, STATES, st.data())
def test_a_change_of_one_member_of_a_peer_writes_only_that_member(
    spec: DeviceSpec, state: DeviceState, data: st.DataObject
) -> None:
    state = written(state, diff(spec, state))
    other = data.draw(peer_specs(st.just(public_key_of(9))))
    for key, peer in spec.peers.items():
        member = data.draw(st.sampled_from(["allowed_ips", "endpoint", "persistent_keepalive", "preshared_key"]))
        value = getattr(other, member)
        changed = replace(peer, **{member: value})
        peers = diff_peers([changed], state.peers)
        if getattr(state.peers[key], member) == value or (member == "endpoint" and value is None):
            assert peers == ()
        else:
            wanted = NO_PRESHARED_KEY if member == "preshared_key" and value is None else value
            assert peers == (replace(PeerPatch(public_key=key), **{member: wanted}),)


@pytest.mark.parametrize(
    "change",
    [{"listen_port": 1}, {"fwmark": 0}, {"mtu": 1280}],
)
def test_a_change_of_one_member_of_the_device_writes_only_that_member(change: dict[str, int]) -> None:
    spec = spec_of(3, listen_port=51820)
    state = written(DeviceState(), diff(spec, DeviceState()))
    assert diff(replace(spec, **change), state) == replace(DevicePatch(), **change)


def test_values_that_the_spec_does_not_name_stay_unchanged() -> None:
    spec = spec_of(1, listen_port=51820)
    state = written(DeviceState(mtu=1337), diff(replace(spec, mtu=None), DeviceState(mtu=1337)))
    key = public_key_of(1)
    peer = replace(state.peers[key], endpoint=Endpoint.parse("192.0.2.200:1"), last_handshake=1.0, rx_bytes=9)
    without_endpoint = {key: replace(spec.peers[key], endpoint=None)}
    assert not diff(replace(spec, mtu=None, peers=without_endpoint), replace(state, peers={key: peer}))


@EXAMPLES
@given(SPECS, STATES, st.frozensets(KEYS))
def test_a_foreign_peer_is_removed_unless_foreign_peers_are_kept(
    spec: DeviceSpec, state: DeviceState, own_peers: frozenset[PublicKey]
) -> None:
    surplus = state.peers.keys() - spec.peers.keys()
    assert diff(spec, state, own_peers=own_peers).remove_peers == surplus
    keeping = replace(spec, keep_foreign_peers=True)
    assert diff(keeping, state, own_peers=own_peers).remove_peers == surplus & own_peers
    assert diff(keeping, state).remove_peers == frozenset()


@EXAMPLES
@given(SPECS, STATES)
def test_a_restoration_adds_everything_and_removes_nothing(spec: DeviceSpec, state: DeviceState) -> None:
    patch = restoration(diff(spec, state), peers_too=True)
    after, wanted = written(state, patch), expected_state(spec, state)
    assert {key: after.peers[key] for key in wanted.peers} == wanted.peers
    assert after.peers.keys() == wanted.peers.keys() | state.peers.keys()
    assert after.addresses == wanted.addresses | state.addresses
    assert (after.up, after.private_key, after.listen_port) == (True, spec.private_key, spec.listen_port)


@EXAMPLES
@given(SPECS, STATES)
def test_a_restoration_without_peers_only_adds_addresses_and_sets_the_link_up(
    spec: DeviceSpec, state: DeviceState
) -> None:
    after = written(state, restoration(diff(spec, state), peers_too=False))
    assert after == replace(state, up=True, addresses=state.addresses | spec.addresses)


@EXAMPLES
@given(PEERS, PEERS)
def test_peers_that_gain_a_prefix_come_first(
    wanted: Mapping[PublicKey, PeerSpec], present: Mapping[PublicKey, PeerSpec]
) -> None:
    states = {key: shown(peer) for key, peer in present.items()}
    gains = [
        not wanted[patch.public_key].allowed_ips
        <= (states[patch.public_key].allowed_ips if patch.public_key in states else frozenset())
        for patch in diff_peers(wanted.values(), states)
    ]
    assert gains == sorted(gains, reverse=True)


@EXAMPLES
@given(PEERS, st.data())
def test_a_prefix_that_moves_always_has_an_owner(present: Mapping[PublicKey, PeerSpec], data: st.DataObject) -> None:
    holders = [peer for peer in present.values() if peer.allowed_ips]
    assume(holders and len(present) > 1)
    before = data.draw(st.sampled_from(holders))
    moving = data.draw(st.sampled_from(sorted(before.allowed_ips)))
    after = data.draw(st.sampled_from([peer for peer in present.values() if peer is not before]))
    moved = {
        before.public_key: replace(before, allowed_ips=before.allowed_ips - {moving}),
        after.public_key: replace(after, allowed_ips=after.allowed_ips | {moving}),
    }
    device = FakeDevice(DeviceState(peers={key: shown(peer) for key, peer in present.items()}))
    everything = prefixes_in_use(device.state)
    for _ in device.write(diff(replace(spec_of(0, listen_port=1), peers={**present, **moved}), device.state)):
        assert prefixes_in_use(device.state) == everything
    assert moving in device.state.peers[after.public_key].allowed_ips


@EXAMPLES
@given(peer_maps(KEYS, PREFIXES), PEERS)
def test_a_prefix_that_stays_in_use_always_has_an_owner(
    wanted: Mapping[PublicKey, PeerSpec], present: Mapping[PublicKey, PeerSpec]
) -> None:
    device = FakeDevice(DeviceState(peers={key: shown(peer) for key, peer in present.items()}))
    staying = prefixes_in_use(device.state) & {prefix for peer in wanted.values() for prefix in peer.allowed_ips}
    spec = replace(spec_of(0, listen_port=1), peers=wanted)
    for _ in device.write(diff(spec, device.state)):
        assert staying <= prefixes_in_use(device.state) or exchanges_prefixes(wanted, present)


def prefixes_in_use(state: DeviceState) -> set[Prefix]:
    return {prefix for peer in state.peers.values() for prefix in peer.allowed_ips}


def exchanges_prefixes(wanted: Mapping[PublicKey, PeerSpec], present: Mapping[PublicKey, PeerSpec]) -> bool:
    """Whether a peer both gains and loses prefixes: then no order of the writes avoids a gap."""
    common = wanted.keys() & present.keys()
    return any(
        wanted[key].allowed_ips - present[key].allowed_ips and present[key].allowed_ips - wanted[key].allowed_ips
        for key in common
    )


def test_a_peer_with_a_new_key_is_added_with_its_prefixes_and_the_old_key_removed() -> None:
    old, new = peer_of(1), replace(peer_of(1), public_key=public_key_of(2))
    spec = replace(spec_of(0, listen_port=1), peers={new.public_key: new})
    state = replace(written(DeviceState(), diff(spec, DeviceState())), peers={old.public_key: shown(old)})
    patch = diff(spec, state)
    assert [(peer.public_key, peer.create, peer.allowed_ips) for peer in patch.peers] == [
        (new.public_key, True, old.allowed_ips)
    ]
    assert patch.remove_peers == {old.public_key}


@EXAMPLES
@given(peer_specs(), public_keys(), prefixes())
def test_patched_keeps_the_values_that_the_patch_does_not_name(spec: PeerSpec, raw: PublicKey, prefix: Prefix) -> None:
    before = shown(spec, last_handshake=3.0, rx_bytes=1, tx_bytes=2)
    assert patched(before, PeerPatch(public_key=spec.public_key)) == before
    key = PresharedKey(raw)
    patch = PeerPatch(public_key=spec.public_key, allowed_ips=frozenset({prefix}), preshared_key=key)
    assert patched(before, patch) == replace(before, allowed_ips=frozenset({prefix}), preshared_key=key)


@given(device_states(), device_specs(), st.data())
@settings(max_examples=max_examples(100))
def test_a_patch_folded_into_a_state_is_what_a_device_shows(
    state: DeviceState, spec: DeviceSpec, data: st.DataObject
) -> None:
    """The fake device keeps its own account of peers and prefixes."""
    patch = diff(spec, state)
    created = data.draw(st.lists(st.booleans(), min_size=len(patch.peers), max_size=len(patch.peers)))
    peers = (replace(peer, create=create) for peer, create in zip(patch.peers, created, strict=True))
    changed = replace(patch, peers=tuple(peers), remove_addresses=frozenset(), private_key=None)
    assert patched_device(state, changed) == written(state, changed)


def test_folding_clears_host_bits_clamps_a_key_and_removes_it() -> None:
    peer = PeerPatch(
        public_key=public_key_of(1), create=True, allowed_ips=frozenset({Prefix(bytes([10, 1, 2, 3]), 16)})
    )
    raw = PrivateKey(bytes([255] * 32))
    state = patched_device(DeviceState(), DevicePatch(private_key=raw, peers=(peer,)))
    assert state.private_key == raw.clamped() != raw
    assert state.peers[public_key_of(1)].allowed_ips == {Prefix.parse("10.1.0.0/16")}
    assert patched_device(state, DevicePatch(private_key=PrivateKey(bytes(32)))) == replace(state, private_key=None)


def test_a_folded_prefix_has_one_owner_and_removals_come_last() -> None:
    one, two = public_key_of(1), public_key_of(2)
    prefix, other = Prefix.parse("10.1.0.0/16"), Prefix.parse("10.2.0.0/16")
    first, second = ip_interface("10.1.0.1/16"), ip_interface("10.2.0.1/16")
    owner = PeerState(public_key=one, allowed_ips=frozenset({prefix, other}))
    state = DeviceState(peers={one: owner}, addresses=frozenset({first}))
    taker = PeerPatch(public_key=two, create=True, allowed_ips=frozenset({prefix}))
    addresses = frozenset({first, second})
    patch = DevicePatch(peers=(taker,), add_addresses=addresses, remove_addresses=frozenset({first}))
    after = patched_device(state, patch)
    assert {key: peer.allowed_ips for key, peer in after.peers.items()} == {one: {other}, two: {prefix}}
    assert after.addresses == {second}
