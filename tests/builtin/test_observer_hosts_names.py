"""Names come from others: what is no host name, or would stand for another host, is not written."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.builtin.observers.names import Names, host_names
from ikto_core.observers.contract import PeerFacts
from tests.builtin.peers import facts


def names_of(
    *peers: PeerFacts, ours: frozenset[str] = frozenset({"me"}), others: frozenset[str] = frozenset()
) -> Names:
    return host_names(peers, ours=ours, others=others)


@pytest.mark.parametrize("name", ["node-b", "Node-B", "node-b.example.net", "NODE-B.example"])
def test_a_host_is_known_by_its_short_name_in_lower_case(name: str) -> None:
    assert names_of(facts(1, name)) == Names({"node-b": ("fd10:0:1::1",)}, {})


@pytest.mark.parametrize("name", ["a", "7up", "0x-files", "x" * 63, "a--b"])
def test_whatever_rfc_1123_allows_is_a_name(name: str) -> None:
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
def test_what_is_no_host_name_is_refused(name: str) -> None:
    assert names_of(facts(1, name), facts(2, "b")) == Names({"b": ("fd10:0:2::1",)}, {name: "it is no host name"})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("127", "taken for an address"),
        ("0x7f000001", "taken for an address"),
        ("0X7F", "taken for an address"),
        ("127.0.0.1", "taken for an address"),
        ("localhost", "this host's own"),
        ("LocalHost", "this host's own"),
        ("localhost.example", "this host's own"),
        ("ip6-localhost", "this host's own"),
        ("ip6-allnodes", "this host's own"),
        ("me", "this host's own"),
        ("ME.example", "this host's own"),
        ("wpad", "programs trust"),
        ("printer", "the rest of the file has it"),
        ("Printer.lan", "the rest of the file has it"),
    ],
)
def test_a_name_that_stands_for_another_host_is_refused(name: str, reason: str) -> None:
    names = names_of(facts(1, name), others=frozenset({"printer"}))
    assert not names.addresses
    assert reason in names.refused[name]


def test_a_name_that_two_peers_have_is_had_by_neither() -> None:
    names = names_of(facts(1, "b"), facts(2, "B.example"), facts(3, "c"))
    assert names.addresses == {"c": ("fd10:0:3::1",)}
    assert names.refused == {"b": "2 peers are called 'b'", "B.example": "2 peers are called 'b'"}


@given(st.lists(st.text(max_size=8) | st.sampled_from(["a", "A", "a.b", "localhost", "127.1"]), max_size=6))
def test_whatever_peers_are_called_a_name_is_a_label_of_one_peer(called: list[str]) -> None:
    peers = [facts(number, name) for number, name in enumerate(called, 1)]
    names = names_of(*peers)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name, re.ASCII) for name in names.addresses)
    given_out = [address for addresses in names.addresses.values() for address in addresses]
    assert len(given_out) == len(set(given_out))
    assert all(peer.name in names.refused or set(peer.addresses) <= set(given_out) for peer in peers)
