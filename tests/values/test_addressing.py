"""Subnets and endpoints parse, print and compare like the networks of the standard library."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.testing.strategies import endpoints, prefixes
from ikto_core.values.addressing import Endpoint, Prefix, format_address, normalise_host, parse_address

ADDRESSES = st.ip_addresses()
NESTED = st.sampled_from(["10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "0.0.0.0/0", "::/0", "fd00::/8"])


@given(ADDRESSES, st.integers(0, 128))
def test_a_prefix_equals_the_network_of_the_standard_library(address: object, length: int) -> None:
    packed = ip_address(str(address)).packed
    length = min(length, len(packed) * 8)
    network = ip_network((packed, length), strict=False)
    prefix = Prefix.of(packed, length)
    assert (prefix.address, prefix.length) == (network.network_address.packed, network.prefixlen)
    assert prefix.last == network.broadcast_address.packed
    assert prefix == Prefix.parse(f"{address}/{length}")


@given(prefixes())
def test_a_prefix_prints_as_it_parses(prefix: Prefix) -> None:
    assert Prefix.parse(str(prefix)) == prefix


@given(NESTED.map(Prefix.parse) | prefixes(), NESTED.map(Prefix.parse) | prefixes())
def test_covers_and_overlaps_agree_with_the_standard_library(one: Prefix, other: Prefix) -> None:
    first, second = ip_network(str(one)), ip_network(str(other))
    same_family = first.version == second.version
    assert one.covers(other) == (same_family and first.supernet_of(second))  # type: ignore[arg-type]
    assert one.contains(other.last) == (second[-1] in first)
    assert one.overlaps(other) == (same_family and first.overlaps(second))


@pytest.mark.parametrize(
    "text",
    ["", "/", "10.0.0.0", "10.0.0.0/", "/8", "10.0.0.0/33", "fd00::/129", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8.0",
     "10.0.0/8", "010.0.0.0/8", "10.0.0.0/8/8", "10.0.0.0/²", "10.0.0.0/0x8", "fd00::1::/64", "fe80::1%eth0/64",
     "host/8", "10.0.0.0/255.0.0.0", "1.2.3.4\x00/8", "10.0.0.0/ 8", " 10.0.0.0/8", "10.0.0.0/0000"],
)  # fmt: skip
def test_an_invalid_prefix_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"form ADDRESS/LENGTH|prefix length \d+ is not 0 to|not an IP address"):
        Prefix.parse(text)


def test_an_error_quotes_only_the_start_of_a_long_text() -> None:
    with pytest.raises(ValueError, match="not of the form") as caught:
        Prefix.parse("x" * 100_000)
    assert len(str(caught.value)) < 200


@given(endpoints())
def test_an_endpoint_prints_as_it_parses(endpoint: Endpoint) -> None:
    assert Endpoint.parse(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("1.2.3.4:1", "1.2.3.4", 1),
        ("[FD00:0:0::1]:65535", "fd00::1", 65535),
        ("[fe80::1%eth0]:7", "fe80::1%eth0", 7),
    ],
)
def test_a_parsed_endpoint_is_in_canonical_form(text: str, host: str, port: int) -> None:
    assert Endpoint.parse(text) == Endpoint(host, port)


@pytest.mark.parametrize(
    "text",
    ["", ":", "1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:+1", "1.2.3.4:1e1", "fd00::1:51820",
     "[fd00::1]", "[fd00::1:51820", "example.org:51820", "[1.2.3.4%eth0]:1", "[fd00::1%]:1", "1.2.3.4:²", "1.2.3.4: 1",
     "[fe80::1%a b]:1", "[fe80::1%a\n]:1", "[fe80::1%a%b]:1", f"[fe80::1%{'x' * 16}]:1"],
)  # fmt: skip
def test_an_invalid_endpoint_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Endpoint.parse(text)


@given(ADDRESSES)
def test_an_address_parses_to_bytes_and_prints_in_rfc_5952_form(address: object) -> None:
    known = ip_address(str(address))
    assert parse_address(known.exploded) == known.packed
    assert parse_address(format_address(known.packed)) == known.packed


@pytest.mark.parametrize(("host", "normal"), [("FE80:0::1%eth0", "fe80::1%eth0"), ("2001:DB8::0:1", "2001:db8::1")])
def test_normalise_host_keeps_the_scope(host: str, normal: str) -> None:
    assert normalise_host(host) == normal
