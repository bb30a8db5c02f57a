"""Peers choose their names: one that is not a host name, or that belongs to another host, is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.builtin.observers.names import Names, host_names
from ikto_core.observers.contract import PeerFacts
from tests.builtin.peers import facts


def names_of(
    *peers: PeerFacts, own_names: frozenset[str] = frozenset({"me"}), other_names: frozenset[str] = frozenset()
) -> Names:
    return host_names(peers, own_names=own_names, other_names=other_names)


@pytest.mark.parametrize("name", ["node-b", "Node-B", "node-b.example.net", "NODE-B.example"])
def test_the_short_name_is_written_in_lower_case(name: str) -> None:
    assert names_of(facts(1, name)) == Names({"node-b": ("fd10:0:1::1",)}, {})


@pytest.mark.parametrize("name", ["a", "7up", "0x-files", "x" * 63, "a--b"])
def test_names_that_rfc_1123_allows_are_written(name: str) -> None:
    assert names_of(facts(1, name)).addresses == {name: ("fd10:0:1::1",)}


def test_a_peer_with_two_subnets_has_two_addresses() -> None:
    both = ("fd10:0:1::1", "fd10:0:2::1")
    assert names_of(facts(1, "b", addresses=both)).addresses == {"b": both}


BAD = [
    "",
    " ",
    "a b",
    "a\n::1 bank",
    "a\tb",
    "a#b",
    "-a",
    "a-",
    ".a",
    "a.",
    "a..b",
    "a_b",
    "x" * 64,
    "ä",
    "a\x00",
    "a\r",
]


@pytest.mark.parametrize("name", [*BAD, "x" * 64, "a." + "b." * 126 + "c", "٣", "a\u2028b"])
def test_an_invalid_host_name_is_refused(name: str) -> None:
    assert names_of(facts(1, name), facts(2, "b")) == Names({"b": ("fd10:0:2::1",)}, {name: "not a valid host name"})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("127", "take it for an address"),
        ("0x7f000001", "take it for an address"),
        ("0X7F", "take it for an address"),
        ("127.0.0.1", "take it for an address"),
        ("localhost", "reserved for this host"),
        ("LocalHost", "reserved for this host"),
        ("localhost.example", "reserved for this host"),
        ("ip6-localhost", "reserved for this host"),
        ("ip6-allnodes", "reserved for this host"),
        ("me", "reserved for this host"),
        ("ME.example", "reserved for this host"),
        ("wpad", "programs look up this name"),
        ("printer", "already in the rest of the file"),
        ("Printer.lan", "already in the rest of the file"),
    ],
)
def test_a_name_that_means_another_host_is_refused(name: str, reason: str) -> None:
    names = names_of(facts(1, name), other_names=frozenset({"printer"}))
    assert not names.addresses
    assert reason in names.refused[name]


def test_a_name_of_two_peers_is_written_for_neither() -> None:
    names = names_of(facts(1, "b"), facts(2, "B.example"), facts(3, "c"))
    assert names.addresses == {"c": ("fd10:0:3::1",)}
    assert names.refused == {"b": "2 peers have the name 'b'", "B.example": "2 peers have the name 'b'"}


@given(st.lists(st.text(max_size=8) | st.sampled_from(["a", "A", "a.b", "localhost", "127.1"]), max_size=6))
def test_every_written_name_is_a_valid_label_of_exactly_one_peer(peer_names: list[str]) -> None:
    peers = [facts(number, name) for number, name in enumerate(peer_names, 1)]
    names = names_of(*peers)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name, re.ASCII) for name in names.addresses)
    written = [address for addresses in names.addresses.values() for address in addresses]
    assert len(written) == len(set(written))
    assert all(peer.name in names.refused or set(peer.addresses) <= set(written) for peer in peers)
