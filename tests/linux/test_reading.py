"""How the wgtool backend parses the output of `wg` and `ip`."""

from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.device.backend import DeviceEvent, DeviceEventKind
from ikto_core.device.model import DeviceState, PeerState
from ikto_core.errors import BackendError
from ikto_core.linux.dump import parse_dump, parse_peers
from ikto_core.linux.link import LinkState, check_ifname, parse_event, parse_link
from ikto_core.testing.devices import private_key_of, public_key_of
from ikto_core.testing.strategies import device_states
from ikto_core.values.keys import PublicKey

WG = "wg0"
ONE, TWO = public_key_of(1), public_key_of(2)


def dumped(state: DeviceState) -> str:
    """Return a device in the format of `wg show dump`."""
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


@given(device_states(), st.integers(0, 1 << 40), st.integers(0, (1 << 64) - 1))
def test_a_dump_is_parsed_to_the_device_that_was_dumped(state: DeviceState, handshake: int, rx_bytes: int) -> None:
    peers = {
        key: replace(peer, last_handshake=float(handshake) or None, rx_bytes=rx_bytes)
        for key, peer in state.peers.items()
    }
    shown = replace(state, peers=peers)
    link = DeviceState()
    assert parse_dump(dumped(shown)) == replace(shown, mtu=link.mtu, up=link.up, addresses=link.addresses)


@given(device_states(), st.data())
def test_a_few_peers_are_parsed_as_in_the_whole_dump(state: DeviceState, data: st.DataObject) -> None:
    text = dumped(state)
    keys = data.draw(st.sets(st.sampled_from([*state.peers, public_key_of(60000)])))
    assert parse_peers(text, keys) == {key: peer for key, peer in parse_dump(text).peers.items() if key in keys}


def test_lines_of_other_peers_are_not_parsed() -> None:
    """A line that is invalid shows that; so does the first one, which has the device's own keys."""
    [own, *lines] = dumped(DeviceState(peers={key: PeerState(public_key=key) for key in (ONE, TWO)})).splitlines()
    text = "\n".join([own, lines[0], lines[1] + "\tmore"])
    assert parse_peers(text, {ONE}) == {ONE: PeerState(public_key=ONE)}
    with pytest.raises(ValueError, match="line 3: 9 columns"):
        parse_peers(text, {TWO})
    assert parse_peers(dumped(DeviceState(private_key=private_key_of(1))), {PublicKey(private_key_of(1))}) == {}
    assert parse_peers("", {ONE}) == {}


@pytest.mark.parametrize(
    ("column", "text"),
    [
        *(
            (0, "short"),
            (1, "(hidden)"),
            (2, "host.example:1"),
            (2, ""),
            (3, "10.0.0.0"),
            (4, "-1"),
            (5, "1.5"),
            (7, "on"),
        ),
        *((4, "9" * 400), (5, str(2**64)), (7, "65536")),  # beyond what the kernel counts to
    ],
)
def test_an_invalid_column_of_a_peer_is_an_error_that_names_its_line(column: int, text: str) -> None:
    first, peer = dumped(DeviceState(peers={public_key_of(1): PeerState(public_key=public_key_of(1))})).splitlines()
    columns = peer.split("\t")
    columns[column] = text
    with pytest.raises(ValueError, match="line 2: "):
        parse_dump(f"{first}\n" + "\t".join(columns) + "\n")


@pytest.mark.parametrize(
    "text",
    [
        *("", "\n", "a\tb\tc\n", "(none)\t(none)\tx\toff\n", "(none)\t(none)\t1\ton\n"),
        *("(none)\t(none)\t65536\toff\n", "(none)\t(none)\t1\t-0x1\n", "(none)\t(none)\t1\t0x100000000\n"),
    ],
)
def test_an_invalid_first_line_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="line 1: "):
        parse_dump(text)


def test_an_error_about_a_dump_contains_no_key() -> None:
    with pytest.raises(ValueError, match="columns") as caught:
        parse_dump(f"{private_key_of(7).text}\tmore\n")
    assert private_key_of(7).text not in str(caught.value)


def test_a_link_is_parsed_without_link_local_addresses() -> None:
    entry = (
        '[{},{"ifname":"wg0","flags":["POINTOPOINT","UP"],"mtu":1280,"linkinfo":{"info_kind":"tun"},"addr_info":['
        '{"family":"inet","local":"10.0.0.1","prefixlen":16,"scope":"global"},{"broadcast":"x"},'
        '{"family":"inet6","local":"fd00::1","prefixlen":16,"scope":"global"},'
        '{"family":"inet6","local":"fe80::1","prefixlen":64,"scope":"link"}]}]'
    )
    addresses = frozenset(map(ip_interface, ("10.0.0.1/16", "fd00::1/16")))
    assert parse_link(entry, WG) == LinkState("tun", 1280, True, addresses)
    assert parse_link(entry, "wg1") is None
    assert parse_link("", WG) is None


USABLE = '[{"ifname":"wg0","flags":[],"mtu":1280,"addr_info":[]}]'


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '[{"ifname":"wg0"}]',
        USABLE.replace("}]", ',"x":' + "[" * 5000 + "}]"),
        USABLE.replace("1280", '"x"'),
        USABLE.replace("1280", "null"),
        USABLE.replace("[]", "null"),
        USABLE.replace("}]", ',"linkinfo":null}]'),
        USABLE.replace("}]", ',"linkinfo":{"info_kind":7}}]'),
        USABLE.replace("[]}", '["x"]}'),
        USABLE.replace("[]}", '[{"local":"10.0.0.1"}]}'),
    ],
)
def test_invalid_output_of_ip_is_a_backend_error(text: str) -> None:
    with pytest.raises(BackendError, match="can't parse the output of ip") as caught:
        parse_link(text, WG)
    assert "iproute2" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-all", "a/b", "a b", "a:b", "a\nlink", "a@b", "sixteen-letters!", '"']
)
def test_an_invalid_or_ambiguous_interface_name_is_refused(name: str) -> None:
    with pytest.raises(BackendError, match="is not a valid interface name"):
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
def test_a_line_of_ip_monitor_is_parsed_to_an_event(line: str, event: DeviceEventKind | None) -> None:
    assert parse_event(line) == (event and DeviceEvent(WG, event))
