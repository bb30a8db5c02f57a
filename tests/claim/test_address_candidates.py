"""Which addresses a node tries to claim, and the error when it can claim none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from ikto_core.agent.from_config import local_node
from ikto_core.builtin.ipam import SequentialStrategy
from ikto_core.claim.address_candidates import AddressCandidates
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.config import Config
from ikto_core.disk.state_file import StateFile
from ikto_core.errors import AddressInUseError, ConfigError, IktoError, PluginError
from ikto_core.ipam.contract import IpamRequest, IpamStrategy
from ikto_core.mesh.records import encode_record
from ikto_core.mesh.view import Entry, MeshView
from ikto_core.values.addressing import Prefix
from tests.nodes import OWN_KEY
from tests.samples import KEY, record

MESH: dict[str, Any] = {"private_address": "auto", "mesh_cidr": "10.0.0.0/24", "subnet_prefix": 28, "ipam": "test"}
REFUSAL = AddressInUseError("10.0.0.16/28 is in use by 'x'", hint="choose another")


class FixedStrategy:
    """Proposes the given subnets, or raises the given error."""

    def __init__(self, *proposed: Prefix | str | Exception) -> None:
        self._proposed = proposed

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:  # noqa: ARG002 - the proposals are fixed
        for subnet in self._proposed:
            if isinstance(subnet, Exception):
                raise subnet
            yield subnet  # type: ignore[misc]  # a str is one of the mistakes under test


@pytest.fixture
def candidates(tmp_path: Path) -> Callable[..., AddressCandidates]:
    def make(strategy: IpamStrategy, **settings: Any) -> AddressCandidates:
        node = local_node(Config(name="own", **MESH | settings))
        return AddressCandidates(node, SavedClaim(node, OWN_KEY, StateFile(tmp_path)), strategy, Random(1))

    return make


def view_of(*allowed_ips: str) -> MeshView:
    """Return the view of a mesh in which another node has these subnets."""
    view = MeshView(local_node(Config(**MESH)).rules(OWN_KEY))
    add_records(view, *allowed_ips)
    return view


def add_records(view: MeshView, *allowed_ips: str) -> None:
    records = [replace(record(text, KEY), name=text) for text in allowed_ips]
    view.update({found.key: Entry(7, encode_record(found)) for found in records})


Make = Callable[..., AddressCandidates]


def test_subnets_of_reserved_networks_are_not_proposed(candidates: Make) -> None:
    view = view_of("10.0.0.16/28")
    found = candidates(SequentialStrategy(), ipam_reserved=("10.0.0.32/27", "10.0.0.128/25")).addresses(view)
    assert list(found) == ["10.0.0.65", "10.0.0.81", "10.0.0.97", "10.0.0.113"]


def test_proposed_subnets_that_are_reserved_are_skipped(candidates: Make) -> None:
    proposed = map(Prefix.parse, ("10.0.0.0/28", "10.0.0.48/28", "10.0.0.64/28"))
    found = candidates(FixedStrategy(*proposed), ipam_reserved=("10.0.0.32/27",)).addresses(view_of())
    assert list(found) == ["10.0.0.65"]


def test_a_configured_address_may_be_reserved(candidates: Make) -> None:
    found = candidates(SequentialStrategy(), ipam_reserved=("10.0.0.0/24",), private_address="10.0.0.18")
    assert list(found.addresses(view_of())) == ["10.0.0.18"]


def test_a_subnet_taken_meanwhile_is_skipped(candidates: Make) -> None:
    view = view_of()
    found = candidates(SequentialStrategy()).addresses(view)
    assert next(found) == "10.0.0.17"
    add_records(view, "10.0.0.32/28", "10.0.0.48/28")
    assert next(found) == "10.0.0.65"


@pytest.mark.parametrize("proposed", ["10.0.1.0/28", "10.0.0.16/29", "10.0.0.0/23", "fd10:1::/48"])
def test_a_proposal_that_is_not_a_subnet_of_the_mesh_raises_plugin_error(candidates: Make, proposed: str) -> None:
    good = Prefix.parse("10.0.0.16/28")
    found = candidates(FixedStrategy(good, Prefix.parse(proposed))).addresses(view_of())
    assert next(found) == "10.0.0.17"
    wrong = f"^ipam 'test' proposed {proposed}, which is not a subnet of 10.0.0.0/24 of length 28$"
    with pytest.raises(PluginError, match=wrong):
        next(found)


def test_an_exception_of_a_strategy_becomes_a_plugin_error_that_names_it(candidates: Make) -> None:
    with pytest.raises(PluginError, match=r"^ipam 'test' failed: LookupError: no rack$") as caught:
        next(candidates(FixedStrategy(LookupError("no rack"))).addresses(view_of()))
    assert isinstance(caught.value.__cause__, LookupError)
    with pytest.raises(PluginError, match=r"^ipam 'test' failed: AttributeError"):
        next(candidates(FixedStrategy("10.0.0.16/28")).addresses(view_of()))


def test_an_ikto_error_of_a_strategy_is_passed_on_unchanged(candidates: Make) -> None:
    raised = ConfigError("name: no rack in it", hint="give one such as r1-u2")
    with pytest.raises(ConfigError) as caught:
        next(candidates(FixedStrategy(raised)).addresses(view_of()))
    assert caught.value is raised


def text_and_hint(error: IktoError) -> tuple[str, str]:
    return str(error), error.hint


def test_the_error_for_a_full_mesh_has_counts_and_a_hint(candidates: Make) -> None:
    full = view_of("10.0.0.0/25", "10.0.0.128/25")
    error = candidates(SequentialStrategy()).none_left(full, None)
    assert text_and_hint(error) == (
        "the mesh 10.0.0.0/24 has no free subnet of length 28: 15 of 15 are taken",
        "delete the records of nodes that are gone, or build a mesh with a longer subnet_prefix or a larger mesh_cidr",
    )
    assert error.exit_code == 4


def test_reserved_subnets_count_as_taken_and_the_error_says_how_many(candidates: Make) -> None:
    found = candidates(SequentialStrategy(), ipam_reserved=("10.0.0.0/27",))
    text, hint = text_and_hint(
        found.none_left(view_of("10.0.0.16/28", "10.0.0.32/27", "10.0.0.64/26", "10.0.0.128/25"), None)
    )
    assert text.endswith("15 of 15 are taken, 1 of them by ipam_reserved")
    assert "reserve less" in hint


def test_a_full_mesh_is_reported_instead_of_the_first_refusal(candidates: Make) -> None:
    error = candidates(SequentialStrategy()).none_left(view_of("10.0.0.0/24"), REFUSAL)
    assert "15 of 15" in str(error)


def test_subnets_tried_in_vain_count_as_taken_before_the_view_shows_it(candidates: Make) -> None:
    view = view_of("10.0.0.64/26", "10.0.0.128/25")
    found = candidates(SequentialStrategy())
    assert len(list(found.addresses(view))) == 3
    assert "15 of 15 are taken" in str(found.none_left(view, REFUSAL))
    next(found.addresses(view))
    assert "13 of 15 subnets" in str(found.none_left(view, REFUSAL))


def test_a_mesh_of_a_single_subnet_has_none_to_assign(candidates: Make) -> None:
    error = candidates(SequentialStrategy(), subnet_prefix=24).none_left(view_of(), None)
    assert str(error).endswith("length 24: it has room for one, and the first one is never assigned")
    assert "private_address" in error.hint


def test_the_error_names_a_strategy_that_proposes_nothing_in_a_mesh_with_free_subnets(candidates: Make) -> None:
    error = candidates(FixedStrategy()).none_left(view_of("10.0.0.16/28", "10.0.0.40/32"), None)
    assert text_and_hint(error) == (
        "ipam 'test' proposes no free subnet; 2 of 15 subnets of the mesh 10.0.0.0/24 are taken",
        "choose another ipam, or configure private_address",
    )


def test_the_error_after_failed_proposals_has_the_first_refusal(candidates: Make) -> None:
    error = candidates(FixedStrategy()).none_left(view_of("10.0.0.16/28"), REFUSAL)
    assert str(error) == (
        "no subnet that ipam 'test' proposed could be claimed (first: 10.0.0.16/28 is in use by 'x'); "
        "1 of 15 subnets of the mesh 10.0.0.0/24 are taken"
    )
    assert error.exit_code == 4


def test_the_refusal_of_a_configured_address_is_raised_as_it_is(candidates: Make) -> None:
    full = view_of("10.0.0.0/24")
    assert candidates(FixedStrategy(), private_address="10.0.0.18").none_left(full, REFUSAL) is REFUSAL
