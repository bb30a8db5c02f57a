"""The commands and input that the wgtool backend builds for `wg` and `ip`."""

import subprocess
from ipaddress import ip_interface
from shutil import which

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_backends.wgtool.commands import (
    BATCH,
    Command,
    applicable,
    interface_commands,
    peer_commands,
    removal_commands,
)
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.errors import BackendError
from ikto_core.linux.dump import parse_keys
from ikto_core.linux.limits import check_patch
from ikto_core.linux.link import LinkState, link_batch
from ikto_core.linux.sections import general_section, peer_section
from ikto_core.testing.devices import create, peer_of, private_key_of, public_key_of
from ikto_core.testing.strategies import endpoints, peer_specs, preshared_keys
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PresharedKey, PublicKey

WG = "wg0"
KEYS = st.sampled_from([public_key_of(number) for number in range(1, 9)])
PATCHES = st.lists(
    st.builds(
        PeerPatch,
        public_key=KEYS,
        create=st.booleans(),
        allowed_ips=st.none() | peer_specs().map(lambda spec: spec.allowed_ips),
        endpoint=st.none() | endpoints(),
        persistent_keepalive=st.none() | st.integers(0, 65535),
        preshared_key=st.none() | preshared_keys(),
    ),
    max_size=12,
)
LINK = LinkState("wireguard", 1420, False, frozenset())


@given(PATCHES, preshared_keys())
def test_secret_keys_are_never_arguments(patches: list[PeerPatch], preshared: PresharedKey) -> None:
    patches = [replace(patch, preshared_key=preshared) for patch in patches]
    patch = DevicePatch(private_key=private_key_of(7), peers=tuple(patches))
    commands = [*interface_commands(WG, patch), *peer_commands(WG, patches)]
    words = {word for command in commands for word in command.argv}
    assert not words & {preshared.text, private_key_of(7).text}
    assert private_key_of(7).text in "".join(commands[0].stdin)
    assert all(preshared.text in "".join(command.stdin) for command in commands[1:])


@given(PATCHES)
def test_allowed_ips_are_replaced_only_for_patches_that_name_them(patches: list[PeerPatch]) -> None:
    replaced = []
    for command in peer_commands(WG, patches):
        if command.argv[1] == "addconf":
            replaced += [line[12:] for line in "".join(command.stdin).splitlines() if line.startswith("PublicKey")]
        else:
            assert "allowed-ips" not in command.argv
    assert replaced == [patch.public_key.text for patch in patches if patch.allowed_ips is not None]


@given(PATCHES, st.frozensets(KEYS))
def test_updates_of_absent_peers_are_dropped(patches: list[PeerPatch], present: frozenset[PublicKey]) -> None:
    known, wanted = set(present), []
    for patch in patches:
        if patch.create:
            known.add(patch.public_key)
        if patch.public_key in known:
            wanted.append(patch)
    assert applicable(patches, present) == wanted


def test_a_section_has_every_field_of_the_patch() -> None:
    patch = replace(create(3), persistent_keepalive=25)
    [command] = peer_commands(WG, [patch])
    assert command.argv == ("wg", "addconf", WG, "/dev/stdin")
    assert "".join(command.stdin).splitlines() == [
        "[Peer]",
        f"PresharedKey = {patch.preshared_key.text if patch.preshared_key else ''}",
        "AllowedIPs = 10.77.0.3/32, fd77:0:0:3::/64",
        "Endpoint = [2001:db8::3]:51820",
        "PersistentKeepalive = 25",
        f"PublicKey = {public_key_of(3).text}",
    ]


@pytest.mark.skipif(not which("wg"), reason="needs the program wg")
@pytest.mark.parametrize(
    "patch", [create(3), replace(create(3), preshared_key=None, endpoint=Endpoint("192.0.2.1", 7))]
)
def test_wg_rejects_a_section_that_is_cut_short(patch: PeerPatch) -> None:
    """`wg` parses all its input before it looks for the device, which does not exist."""
    text = peer_section(replace(patch, allowed_ips=frozenset({Prefix.parse("fd10:1::/48")}), persistent_keepalive=25))
    command = ("wg", "addconf", "no-such-device", "/dev/stdin")
    for end in range(1, len(text) + 1):
        ran = subprocess.run(command, input=text[:end], capture_output=True, text=True, timeout=30, check=False)
        assert ran.returncode
        accepted = "Unable to modify interface" in ran.stderr
        assert accepted == (end >= len(text.rstrip())), (text[:end], ran.stderr)


@given(PATCHES)
def test_the_fast_path_writes_the_same_section(patches: list[PeerPatch]) -> None:
    for patch in patches:
        assert peer_section(patch) == general_section(patch)


@pytest.mark.parametrize("subnet", ["fd10:1::/48", "10.1.0.0/16", "::/0"])
@pytest.mark.parametrize("keepalive_s", [0, 25])
def test_a_typical_peer_takes_the_fast_path(subnet: str, keepalive_s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    patch = PeerPatch(
        public_key=public_key_of(1),
        create=True,
        allowed_ips=frozenset({Prefix.parse(subnet)}),
        endpoint=Endpoint("192.0.2.1", 51820),
        persistent_keepalive=keepalive_s,
    )
    expected = general_section(patch)
    monkeypatch.delattr("ikto_core.linux.sections.general_section")
    assert peer_section(patch) == expected


def test_patches_without_allowed_ips_use_wg_set() -> None:
    first = PeerPatch(public_key=public_key_of(1), endpoint=Endpoint("fe80::1%eth0", 7), persistent_keepalive=0)
    second = PeerPatch(public_key=public_key_of(2), preshared_key=PresharedKey(bytes([5] * 32)))
    one, two = public_key_of(1).text, public_key_of(2).text
    assert list(peer_commands(WG, [first, second])) == [
        Command(("wg", "set", WG, "peer", one, "endpoint", "[fe80::1%eth0]:7", "persistent-keepalive", "0")),
        Command(
            ("wg", "set", WG, "peer", two, "preshared-key", "/dev/stdin"),
            (PresharedKey(bytes([5] * 32)).text + "\n",),
        ),
    ]


def test_an_empty_patch_runs_no_command() -> None:
    assert not [*interface_commands(WG, DevicePatch()), *peer_commands(WG, ()), *removal_commands(WG, frozenset())]
    assert link_batch(WG, DevicePatch(), LINK) == ""


def test_many_removals_take_a_few_commands() -> None:
    keys = frozenset(public_key_of(number) for number in range(1, 2 * BATCH + 2))
    commands = list(removal_commands(WG, keys))
    assert len(commands) == 3
    assert {word for command in commands for word in command.argv[3:]} == {"peer", "remove", *(k.text for k in keys)}
    assert max(len(command.argv) for command in commands) == 3 + 3 * BATCH


@pytest.mark.parametrize(
    "patch",
    [
        DevicePatch(listen_port=65536),
        DevicePatch(fwmark=-1),
        DevicePatch(mtu=1 << 31),
        DevicePatch(peers=(PeerPatch(public_key=public_key_of(1), persistent_keepalive=65536),)),
        DevicePatch(peers=(PeerPatch(public_key=public_key_of(1), endpoint=Endpoint("::1", 0)),)),
        DevicePatch(peers=(PeerPatch(public_key=public_key_of(1), endpoint=Endpoint("::1", 65536)),)),
    ],
)
def test_a_number_out_of_range_is_refused(patch: DevicePatch) -> None:
    with pytest.raises(BackendError, match=f"{WG}: "):
        check_patch(WG, patch)


@pytest.mark.parametrize("host", ["host.example", "::1\n[Peer]", "192.0.2.1\n", "192.0.2", "fe80::1%a\nb", "fe80::1%"])
@pytest.mark.parametrize("allowed_ips", [None, frozenset(), frozenset({Prefix.parse("10.0.0.1/32")})])
def test_a_host_that_is_not_an_ip_address_is_refused(host: str, allowed_ips: frozenset[Prefix] | None) -> None:
    """`wg` would look up a name in DNS, and a line break would add another line to its input."""
    patch = PeerPatch(
        public_key=public_key_of(1), allowed_ips=allowed_ips, endpoint=Endpoint(host, 1), persistent_keepalive=25
    )
    with pytest.raises(BackendError, match="is not an IP address"):
        ["".join(command.stdin) for command in peer_commands(WG, [patch])]


def test_addresses_that_stay_are_written_again_after_a_removal() -> None:
    first, second, third = (ip_interface(f"10.0.0.{number}/24") for number in (1, 2, 3))
    link = replace(LINK, addresses=frozenset({first, second}))
    patch = DevicePatch(add_addresses=frozenset({third}), remove_addresses=frozenset({first}), mtu=1400, up=True)
    assert link_batch(WG, patch, link).splitlines() == [
        "link set dev wg0 mtu 1400",
        "address replace 10.0.0.3/24 dev wg0",
        "address replace 10.0.0.1/24 dev wg0",
        "address delete 10.0.0.1/24 dev wg0",
        "address replace 10.0.0.2/24 dev wg0",
        "address replace 10.0.0.3/24 dev wg0",
        "link set dev wg0 up",
    ]


def test_addresses_that_are_already_correct_are_not_written() -> None:
    present, absent = frozenset({ip_interface("fd00::1/8")}), frozenset({ip_interface("10.0.0.1/8")})
    patch = DevicePatch(add_addresses=present, remove_addresses=absent)
    assert link_batch(WG, patch, replace(LINK, addresses=present)) == ""


def test_all_peers_of_a_large_patch_are_in_one_command() -> None:
    [command] = peer_commands(WG, map(create, range(1, 1001)))
    text = "".join(command.stdin)
    assert text.count("[Peer]") == 1000
    assert str(Prefix.parse("10.77.3.232/32")) in text
    assert peer_of(1000).public_key.text in text


def test_the_list_of_peers_has_one_key_per_line() -> None:
    keys = [public_key_of(1), public_key_of(2)]
    assert parse_keys("".join(f"{key.text}\n" for key in keys)) == set(keys)
    assert parse_keys("") == frozenset()
