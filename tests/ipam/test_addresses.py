"""The addresses that a node tries, and their order."""

from collections.abc import Iterator
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.ipam.addresses import MAX_PROPOSALS, addresses_to_try, device_address
from ikto_core.testing.strategies import prefixes
from ikto_core.values.addressing import Prefix, parse_address

PROPOSALS = [Prefix.parse("10.0.1.0/24"), Prefix.parse("10.0.2.0/24")]


def undrawable() -> Iterator[Prefix]:
    """Proposals that must not be drawn."""
    yield from ()
    raise AssertionError("a proposal was drawn")


@pytest.mark.parametrize("saved", [None, "10.0.9.9"])
def test_a_configured_address_is_the_only_one(saved: str | None) -> None:
    assert list(addresses_to_try("10.0.0.7", saved, undrawable())) == ["10.0.0.7"]


def test_the_saved_address_comes_first_and_then_the_proposals_in_order() -> None:
    assert list(addresses_to_try(None, "10.0.9.9", PROPOSALS)) == ["10.0.9.9", "10.0.1.1", "10.0.2.1"]
    assert list(addresses_to_try(None, None, PROPOSALS)) == ["10.0.1.1", "10.0.2.1"]


def test_no_proposal_is_drawn_before_it_is_needed() -> None:
    assert list(islice(addresses_to_try(None, "10.0.9.9", undrawable()), 1)) == ["10.0.9.9"]


def test_the_number_of_proposals_is_limited() -> None:
    endless = (Prefix.of(number.to_bytes(4, "big"), 32) for number in count())
    assert len(list(addresses_to_try(None, None, endless))) == MAX_PROPOSALS


@given(prefixes())
def test_a_devices_address_lies_in_its_subnet_and_is_not_the_network_address_if_there_is_another(
    subnet: Prefix,
) -> None:
    address = parse_address(device_address(subnet))
    assert Prefix.of(address, subnet.length) == subnet
    assert (address == subnet.address) == (subnet.length == subnet.bits)


@given(st.sampled_from([("fd10:0:1::/48", "fd10:0:1::1"), ("10.0.0.4/31", "10.0.0.5"), ("10.0.0.4/32", "10.0.0.4")]))
def test_a_devices_address_is_the_one_after_the_network_address(example: tuple[str, str]) -> None:
    assert device_address(Prefix.parse(example[0])) == example[1]
