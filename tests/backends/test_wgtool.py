"""The pure parts of the wgtool backend: what is read from the programs, and what they are told."""

from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_backends.wgtool.commands import (
    BATCH,
    check,
    effective,
    interface_commands,
    peer_commands,
    removal_commands,
)
from ikto_backends.wgtool.dump import parse_dump, parse_keys
from ikto_backends.wgtool.link import Link, check_ifname, link_batch, parse_event, parse_link
from ikto_backends.wgtool.programs import Command, UnsupportedError, explain, run
from ikto_core.addressing import Endpoint, Prefix
from ikto_core.backend import DeviceEvent, DeviceEventKind
from ikto_core.errors import BackendError, NoSuchDeviceError
from ikto_core.keys import PresharedKey, PublicKey
from ikto_core.model import DevicePatch, DeviceState, PeerPatch, PeerState
from ikto_core.testing.devices import create, peer_of, private_key_of, public_key_of
from ikto_core.testing.strategies import device_states, endpoints, peer_specs, preshared_keys

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
LINK = Link("wireguard", 1420, False, frozenset())


def dumped(state: DeviceState) -> str:
    """Write a device as `wg show dump` does."""
    own = (state.private_key.text, state.private_key.public().text) if state.private_key else ("(none)", "(none)")
    rows: list[tuple[object, ...]] = [(*own, state.listen_port, hex(state.fwmark) if state.fwmark else "off")]
    rows += [
        (
            peer.public_key.text,
            peer.preshared_key.text if peer.preshared_key else "(none)",
            peer.endpoint or "(none)",
            ",".join(map(str, peer.allowed_ips)) or "(none)",
            int(peer.last_handshake or 0),
            peer.rx_bytes,
            peer.tx_bytes,
            peer.persistent_keepalive or "off",
        )
        for peer in state.peers.values()
    ]
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


@given(device_states(), st.integers(0, 1 << 40), st.integers(0, 1 << 64))
def test_a_dump_reads_as_what_was_dumped(state: DeviceState, handshake: int, rx_bytes: int) -> None:
    peers = {
        key: replace(peer, last_handshake=float(handshake) or None, rx_bytes=rx_bytes)
        for key, peer in state.peers.items()
    }
    shown = replace(state, peers=peers)
    link = DeviceState()
    assert parse_dump(dumped(shown)) == replace(shown, mtu=link.mtu, up=link.up, addresses=link.addresses)


@pytest.mark.parametrize(
    ("column", "text"),
    [(0, "short"), (1, "(hidden)"), (2, "host.example:1"), (2, ""), (3, "10.0.0.0"), (4, "-1"), (5, "1.5"), (7, "on")],
)
def test_a_strange_column_of_a_peer_is_an_error_that_names_its_line(column: int, text: str) -> None:
    first, peer = dumped(DeviceState(peers={public_key_of(1): PeerState(public_key=public_key_of(1))})).splitlines()
    columns = peer.split("\t")
    columns[column] = text
    with pytest.raises(ValueError, match="line 2: "):
        parse_dump(f"{first}\n" + "\t".join(columns) + "\n")


@pytest.mark.parametrize("text", ["", "\n", "a\tb\tc\n", "(none)\t(none)\tx\toff\n", "(none)\t(none)\t1\ton\n"])
def test_a_strange_first_line_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="line 1: "):
        parse_dump(text)


def test_no_error_about_a_dump_shows_a_key() -> None:
    with pytest.raises(ValueError, match="columns") as caught:
        parse_dump(f"{private_key_of(7).text}\tmore\n")
    assert private_key_of(7).text not in str(caught.value)


def test_peers_are_keys_one_a_line() -> None:
    keys = [public_key_of(1), public_key_of(2)]
    assert parse_keys("".join(f"{key.text}\n" for key in keys)) == set(keys)
    assert parse_keys("") == frozenset()


@given(PATCHES, preshared_keys())
def test_no_secret_is_an_argument(patches: list[PeerPatch], preshared: PresharedKey) -> None:
    patches = [replace(patch, preshared_key=preshared) for patch in patches]
    patch = DevicePatch(private_key=private_key_of(7), peers=tuple(patches))
    commands = [*interface_commands(WG, patch), *peer_commands(WG, patches)]
    words = {word for command in commands for word in command.argv}
    assert not words & {preshared.text, private_key_of(7).text}
    assert private_key_of(7).text in commands[0].stdin
    assert all(preshared.text in command.stdin for command in commands[1:])


@given(PATCHES)
def test_allowed_ips_are_replaced_where_the_patch_says_so_and_nowhere_else(patches: list[PeerPatch]) -> None:
    replaced = []
    for command in peer_commands(WG, patches):
        if command.argv[1] == "addconf":
            replaced += [line[12:] for line in command.stdin.splitlines() if line.startswith("PublicKey")]
        else:
            assert "allowed-ips" not in command.argv
    assert replaced == [patch.public_key.text for patch in patches if patch.allowed_ips is not None]


@given(PATCHES, st.frozensets(KEYS))
def test_only_a_peer_that_is_there_by_then_is_updated(patches: list[PeerPatch], present: frozenset[PublicKey]) -> None:
    known, wanted = set(present), []
    for patch in patches:
        if patch.create:
            known.add(patch.public_key)
        if patch.public_key in known:
            wanted.append(patch)
    assert effective(patches, present) == wanted


def test_a_peer_is_written_with_all_that_is_named() -> None:
    patch = replace(create(3), persistent_keepalive=25)
    [command] = peer_commands(WG, [patch])
    assert command.argv == ("wg", "addconf", WG, "/dev/stdin")
    assert command.stdin.splitlines() == [
        "[Peer]",
        f"PublicKey = {public_key_of(3).text}",
        f"PresharedKey = {patch.preshared_key.text if patch.preshared_key else ''}",
        "AllowedIPs = 10.77.0.3/32, fd77:0:0:3::/64",
        "Endpoint = [2001:db8::3]:51820",
        "PersistentKeepalive = 25",
    ]


def test_what_replaces_no_allowed_ips_is_set_by_name() -> None:
    first = PeerPatch(public_key=public_key_of(1), endpoint=Endpoint("fe80::1%eth0", 7), persistent_keepalive=0)
    second = PeerPatch(public_key=public_key_of(2), preshared_key=PresharedKey(bytes([5] * 32)))
    one, two = public_key_of(1).text, public_key_of(2).text
    assert list(peer_commands(WG, [first, second])) == [
        Command(("wg", "set", WG, "peer", one, "endpoint", "[fe80::1%eth0]:7", "persistent-keepalive", "0")),
        Command(
            ("wg", "set", WG, "peer", two, "preshared-key", "/dev/stdin"), PresharedKey(bytes([5] * 32)).text + "\n"
        ),
    ]


def test_nothing_to_write_runs_nothing() -> None:
    assert not [*interface_commands(WG, DevicePatch()), *peer_commands(WG, ()), *removal_commands(WG, frozenset())]
    assert link_batch(WG, DevicePatch(), LINK) == ""


def test_many_removals_are_a_few_calls() -> None:
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
        DevicePatch(peers=(PeerPatch(public_key=public_key_of(1), endpoint=Endpoint("host.example", 1)),)),
        DevicePatch(peers=(PeerPatch(public_key=public_key_of(1), endpoint=Endpoint("::1\n[Peer]", 1)),)),
    ],
)
def test_what_no_device_takes_is_refused(patch: DevicePatch) -> None:
    with pytest.raises(BackendError, match=f"{WG}: "):
        check(WG, patch)


def test_addresses_that_stay_are_written_again_behind_a_removal() -> None:
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


def test_addresses_as_they_should_be_are_not_written() -> None:
    there, absent = frozenset({ip_interface("fd00::1/8")}), frozenset({ip_interface("10.0.0.1/8")})
    patch = DevicePatch(add_addresses=there, remove_addresses=absent)
    assert link_batch(WG, patch, replace(LINK, addresses=there)) == ""


def test_a_link_is_read_without_what_the_system_added() -> None:
    entry = (
        '[{},{"ifname":"wg0","flags":["POINTOPOINT","UP"],"mtu":1280,"linkinfo":{"info_kind":"tun"},"addr_info":['
        '{"family":"inet","local":"10.0.0.1","prefixlen":16,"scope":"global"},{"broadcast":"x"},'
        '{"family":"inet6","local":"fd00::1","prefixlen":16,"scope":"global"},'
        '{"family":"inet6","local":"fe80::1","prefixlen":64,"scope":"link"}]}]'
    )
    addresses = frozenset(map(ip_interface, ("10.0.0.1/16", "fd00::1/16")))
    assert parse_link(entry, WG) == Link("tun", 1280, True, addresses)
    assert parse_link(entry, "wg1") is None
    assert parse_link("", WG) is None


@pytest.mark.parametrize("text", ["{", '[{"ifname":"wg0"}]', '[{"ifname":"wg0","flags":[],"mtu":"x","addr_info":[]}]'])
def test_what_ip_never_said_is_a_backend_error(text: str) -> None:
    with pytest.raises(BackendError, match="can't read what ip says"):
        parse_link(text, WG)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-all", "a/b", "a b", "a:b", "a\nlink", "a@b", "sixteen-letters!", '"']
)
def test_a_name_that_could_be_read_otherwise_is_refused(name: str) -> None:
    with pytest.raises(BackendError, match="can't be the name of an interface"):
        check_ifname(name)


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("2: wg0    inet 10.9.9.9/32 scope global wg0\\  valid_lft forever", DeviceEventKind.CHANGED),
        ("Deleted 2: wg0    inet6 fd00::1/16 scope global \\  valid_lft forever", DeviceEventKind.CHANGED),
        ("2: wg0: <POINTOPOINT,NOARP> mtu 1400 qdisc noop state DOWN", DeviceEventKind.CHANGED),
        ("Deleted 2: wg0: <POINTOPOINT,NOARP> mtu 1400 qdisc noop", DeviceEventKind.GONE),
        ("Deleted 7: wg0@if3: <BROADCAST> mtu 1500", DeviceEventKind.GONE),
        ("7: wg0@eth0: <BROADCAST> mtu 1500", DeviceEventKind.CHANGED),
        ("    valid_lft forever preferred_lft forever", None),
        ("", None),
    ],
)
def test_a_line_of_the_monitor_is_an_event(line: str, event: DeviceEventKind | None) -> None:
    assert parse_event(line) == (event and DeviceEvent(WG, event))


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ("Unable to access interface: No such device", NoSuchDeviceError, "no such device"),
        ('Cannot find device "wg0"\nCommand failed -:1', NoSuchDeviceError, 'Cannot find device "wg0"'),
        ('Device "wg0" does not exist.', NoSuchDeviceError, "no such device"),
        ("RTNETLINK answers: Operation not permitted", BackendError, "no permission"),
        ("ERROR: (wg1) Failed to create TUN device: permission denied", BackendError, "no permission"),
        ("RTNETLINK answers: Permission denied", BackendError, "no permission"),
        ("Unable to modify interface: Address already in use", BackendError, "port is in use"),
        ("Error: Unknown device type.", UnsupportedError, "the kernel has no WireGuard"),
        ("Unable to access interface: Protocol not supported", UnsupportedError, "no WireGuard device"),
        ('CreateTUN("wg0") failed; /dev/net/tun does not exist', BackendError, "no tun device"),
        ("a banner\nFailed: unix socket in use", BackendError, "of this name already"),
        ("Something new\nCommand failed -:3", BackendError, "x failed: Something new"),
        ("", BackendError, "did not say why"),
    ],
)
def test_what_a_program_says_is_an_error_of_ours(said: str, error: type[BackendError], words: str) -> None:
    explained = explain("x", WG, said)
    assert type(explained) is error
    assert words in str(explained)
    assert str(explained).startswith(f"{WG}: ")


async def test_a_missing_program_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BackendError, match="no program 'wg'") as caught:
        await run(Command(("wg", "show")), WG)
    assert "wireguard-tools" in caught.value.hint


async def test_a_program_gets_none_of_the_agents_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IKTO_NATS_PASSWORD", "secret")
    out = await run(Command(("env",)), WG)
    assert {line.partition("=")[0] for line in out.splitlines()} == {"PATH", "LC_ALL"}


async def test_no_shell_reads_what_a_program_is_given() -> None:
    words = ("$(id)", "`id`", ";id", "$PATH", "*", "a b", "'\"")
    assert await run(Command(("printf", "%s\n", *words)), WG) == "".join(f"{word}\n" for word in words)


async def test_a_program_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikto_backends.wgtool.programs.TIMEOUT_S", 0.05)
    with pytest.raises(BackendError, match="has not ended"):
        await run(Command(("sleep", "1000")), WG)


def test_every_peer_of_a_large_patch_is_in_one_call() -> None:
    [command] = peer_commands(WG, map(create, range(1, 1001)))
    assert command.stdin.count("[Peer]") == 1000
    assert str(Prefix.parse("10.77.3.232/32")) in command.stdin
    assert peer_of(1000).public_key.text in command.stdin
