"""Peers choose their names: one that is not a host name, or that belongs to another host, is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.builtin.observers.names import MAX_SUFFIX, WELL_KNOWN, Names, Naming, host_names
from ikto_core.observers.contract import PeerFacts
from tests.builtin.peers import facts

DEFAULT, SHORT = Naming(), Naming(short=True)


def names_of(
    *peers: PeerFacts,
    naming: Naming = DEFAULT,
    own_names: frozenset[str] = frozenset({"me", "me.ikto.internal"}),
    other_names: frozenset[str] = frozenset(),
) -> Names:
    return host_names(peers, naming, own_names=own_names, other_names=other_names)


@pytest.mark.parametrize("name", ["node-b", "Node-B", "node-b.example.net", "NODE-B.example"])
def test_the_name_is_written_below_the_suffix_and_alone_only_if_configured(name: str) -> None:
    full = {"node-b.ikto.internal": ("fd10:0:1::1",)}
    assert names_of(facts(1, name)) == Names(full, {})
    assert names_of(facts(1, name), naming=SHORT) == Names(full | {"node-b": ("fd10:0:1::1",)}, {})
    assert list(names_of(facts(1, name), naming=Naming("mesh.example")).addresses) == ["node-b.mesh.example"]


@pytest.mark.parametrize("name", ["a", "7up", "0x-files", "x" * 63, "a--b"])
def test_names_that_rfc_1123_allows_are_written(name: str) -> None:
    assert set(names_of(facts(1, name), naming=SHORT).addresses) == {name, f"{name}.ikto.internal"}


def test_a_peer_with_two_subnets_has_two_addresses() -> None:
    both = ("fd10:0:1::1", "fd10:0:2::1")
    assert names_of(facts(1, "b", addresses=both)).addresses == {"b.ikto.internal": both}


def test_no_name_is_longer_than_a_host_name_may_be() -> None:
    suffix = ("s" * 63 + ".") * 3
    (name,) = names_of(facts(1, "x" * 63), naming=Naming(suffix[:MAX_SUFFIX].strip("."))).addresses
    assert len(name) <= 253


@pytest.mark.parametrize("name", ["puppet", "salt", "registry", "proxy", "wpad", "localhost", "gateway", "127"])
def test_by_default_no_peer_can_shadow_a_name_without_a_dot(name: str) -> None:
    """Programs look these names up on their own, and do what their owner says."""
    assert list(names_of(facts(1, name)).addresses) == [f"{name}.ikto.internal"]


@pytest.mark.parametrize("name", sorted(WELL_KNOWN))
def test_a_well_known_name_is_never_written_alone(name: str) -> None:
    names = names_of(facts(1, f"{name.upper()}.example"), naming=SHORT)
    assert list(names.addresses) == [f"{name}.ikto.internal"]
    assert list(names.refused.values()) == [f"{name!r} is looked up by programs, which trust its owner"]


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
    good = {"b.ikto.internal": ("fd10:0:2::1",)}
    assert names_of(facts(1, name), facts(2, "b")) == Names(good, {name: "not a valid host name"})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("127", "taken for an address"),
        ("0x7f000001", "taken for an address"),
        ("0X7F", "taken for an address"),
        ("127.0.0.1", "taken for an address"),
        ("localhost", "reserved for this host"),
        ("LocalHost", "reserved for this host"),
        ("localhost.example", "reserved for this host"),
        ("ip6-localhost", "reserved for this host"),
        ("ip6-allnodes", "reserved for this host"),
        ("me", "reserved for this host"),
        ("ME.example", "reserved for this host"),
        ("toaster", "already in the rest of the file"),
        ("Toaster.lan", "already in the rest of the file"),
    ],
)
def test_a_name_that_means_another_host_is_never_written_alone(name: str, reason: str) -> None:
    names = names_of(facts(1, name), naming=SHORT, other_names=frozenset({"toaster"}))
    assert all(written.endswith(".ikto.internal") for written in names.addresses)
    assert reason in names.refused[name]


@pytest.mark.parametrize("name", ["me", "ME.example", "printer", "Printer.lan"])
def test_a_name_of_this_host_or_of_the_file_is_not_written_below_the_suffix_either(name: str) -> None:
    names = names_of(facts(1, name), other_names=frozenset({"printer.ikto.internal"}))
    assert not names.addresses
    assert name in names.refused


def test_a_name_of_two_peers_is_written_for_neither() -> None:
    names = names_of(facts(1, "b"), facts(2, "B.example"), facts(3, "c"), naming=SHORT)
    assert set(names.addresses) == {"c", "c.ikto.internal"}
    assert names.refused == {"b": "2 peers have the name 'b'", "B.example": "2 peers have the name 'b'"}


@given(st.lists(st.text(max_size=8) | st.sampled_from(["a", "A", "a.b", "localhost", "127.1"]), max_size=6))
def test_every_written_name_is_a_label_below_the_suffix_of_exactly_one_peer(peer_names: list[str]) -> None:
    peers = [facts(number, name) for number, name in enumerate(peer_names, 1)]
    names = names_of(*peers)
    label = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    assert all(re.fullmatch(label + r"\.ikto\.internal", name, re.ASCII) for name in names.addresses)
    written = [address for addresses in names.addresses.values() for address in addresses]
    assert len(written) == len(set(written))
    assert all(peer.name in names.refused or set(peer.addresses) <= set(written) for peer in peers)
