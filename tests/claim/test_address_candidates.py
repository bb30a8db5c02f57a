"""What a node may claim, and what it says when it can claim nothing."""

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

MESH: dict[str, Any] = {"private_address": "auto", "mesh_cidr": "10.0.0.0/24", "subnet_prefix": 28, "ipam": "mine"}
REFUSAL = AddressInUseError("10.0.0.16/28 is in use by 'x'", hint="choose another")


class Proposes:
    """Proposes what it is told to, or raises it."""

    def __init__(self, *proposed: Prefix | str | Exception) -> None:
        self._proposed = proposed

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:  # noqa: ARG002 - for it is told already
        for subnet in self._proposed:
            if isinstance(subnet, Exception):
                raise subnet
            yield subnet  # type: ignore[misc]  # a text is one of the mistakes


@pytest.fixture
def candidates(tmp_path: Path) -> Callable[..., AddressCandidates]:
    def make(strategy: IpamStrategy, **members: Any) -> AddressCandidates:
        node = local_node(Config(name="own", **MESH | members))
        return AddressCandidates(node, SavedClaim(node, OWN_KEY, StateFile(tmp_path)), strategy, Random(1))

    return make


def view_of(*allowed_ips: str) -> MeshView:
    view = MeshView(local_node(Config(**MESH)).rules(OWN_KEY))
    take(view, *allowed_ips)
    return view


def take(view: MeshView, *allowed_ips: str) -> None:
    records = [replace(record(text, KEY), name=text) for text in allowed_ips]
    view.update({found.key: Entry(7, encode_record(found)) for found in records})


Make = Callable[..., AddressCandidates]


def test_reserved_networks_are_taken(candidates: Make) -> None:
    view = view_of("10.0.0.16/28")
    found = candidates(SequentialStrategy(), ipam_reserved=("10.0.0.32/27", "10.0.0.128/25")).addresses(view)
    assert list(found) == ["10.0.0.65", "10.0.0.81", "10.0.0.97", "10.0.0.113"]


def test_what_is_nobodys_is_not_tried_whatever_a_strategy_says(candidates: Make) -> None:
    proposed = map(Prefix.parse, ("10.0.0.0/28", "10.0.0.48/28", "10.0.0.64/28"))
    found = candidates(Proposes(*proposed), ipam_reserved=("10.0.0.32/27",)).addresses(view_of())
    assert list(found) == ["10.0.0.65"]


def test_a_configured_address_may_be_reserved(candidates: Make) -> None:
    found = candidates(SequentialStrategy(), ipam_reserved=("10.0.0.0/24",), private_address="10.0.0.18")
    assert list(found.addresses(view_of())) == ["10.0.0.18"]


def test_what_is_taken_while_others_are_tried_is_skipped(candidates: Make) -> None:
    view = view_of()
    found = candidates(SequentialStrategy()).addresses(view)
    assert next(found) == "10.0.0.17"
    take(view, "10.0.0.32/28", "10.0.0.48/28")
    assert next(found) == "10.0.0.65"


@pytest.mark.parametrize("proposed", ["10.0.1.0/28", "10.0.0.16/29", "10.0.0.0/23", "fd10:1::/48"])
def test_a_proposal_that_is_no_subnet_of_the_mesh_is_the_strategys_fault(candidates: Make, proposed: str) -> None:
    good = Prefix.parse("10.0.0.16/28")
    found = candidates(Proposes(good, Prefix.parse(proposed))).addresses(view_of())
    assert next(found) == "10.0.0.17"
    wrong = f"^ipam 'mine' proposed {proposed}, which is not a subnet of 10.0.0.0/24 of length 28$"
    with pytest.raises(PluginError, match=wrong):
        next(found)


def test_whatever_a_strategy_raises_names_it(candidates: Make) -> None:
    with pytest.raises(PluginError, match=r"^ipam 'mine' failed: LookupError: no rack$") as caught:
        next(candidates(Proposes(LookupError("no rack"))).addresses(view_of()))
    assert isinstance(caught.value.__cause__, LookupError)
    with pytest.raises(PluginError, match=r"^ipam 'mine' failed: AttributeError"):
        next(candidates(Proposes("10.0.0.16/28")).addresses(view_of()))


def test_a_strategys_own_words_are_passed_on(candidates: Make) -> None:
    said = ConfigError("name: no rack in it", hint="give one such as r1-u2")
    with pytest.raises(ConfigError) as caught:
        next(candidates(Proposes(said)).addresses(view_of()))
    assert caught.value is said


def why(error: IktoError) -> tuple[str, str]:
    return str(error), error.hint


def test_a_full_mesh_says_how_full_and_what_to_do(candidates: Make) -> None:
    full = view_of("10.0.0.0/25", "10.0.0.128/25")
    error = candidates(SequentialStrategy()).none_left(full, None)
    assert why(error) == (
        "the mesh 10.0.0.0/24 has no free subnet of length 28: 15 of 15 are taken",
        "delete the records of nodes that are gone, or build a mesh with a longer subnet_prefix or a larger mesh_cidr",
    )
    assert error.exit_code == 4


def test_what_is_reserved_counts_as_taken_and_is_told(candidates: Make) -> None:
    reserving = candidates(SequentialStrategy(), ipam_reserved=("10.0.0.0/27",))
    said, hint = why(
        reserving.none_left(view_of("10.0.0.16/28", "10.0.0.32/27", "10.0.0.64/26", "10.0.0.128/25"), None)
    )
    assert said.endswith("15 of 15 are taken, 1 of them by ipam_reserved")
    assert "reserve less" in hint


def test_that_the_mesh_is_full_says_more_than_who_came_before_us(candidates: Make) -> None:
    error = candidates(SequentialStrategy()).none_left(view_of("10.0.0.0/24"), REFUSAL)
    assert "15 of 15" in str(error)


def test_what_was_tried_in_vain_counts_although_nobody_told_us_yet(candidates: Make) -> None:
    view = view_of("10.0.0.64/26", "10.0.0.128/25")
    trying = candidates(SequentialStrategy())
    assert len(list(trying.addresses(view))) == 3
    assert "15 of 15 are taken" in str(trying.none_left(view, REFUSAL))
    next(trying.addresses(view))
    assert "13 of 15 subnets" in str(trying.none_left(view, REFUSAL))


def test_a_mesh_no_larger_than_one_subnet_has_none_to_give(candidates: Make) -> None:
    error = candidates(SequentialStrategy(), subnet_prefix=24).none_left(view_of(), None)
    assert str(error).endswith("length 24: it has room for one, and the first one is never assigned")
    assert "private_address" in error.hint


def test_a_strategy_that_has_nothing_to_offer_in_a_mesh_with_room_is_named(candidates: Make) -> None:
    error = candidates(Proposes()).none_left(view_of("10.0.0.16/28", "10.0.0.40/32"), None)
    assert why(error) == (
        "ipam 'mine' proposes no free subnet; 2 of 15 subnets of the mesh 10.0.0.0/24 are taken",
        "choose another ipam, or configure private_address",
    )


def test_a_strategy_whose_proposals_all_failed_is_named_with_the_first_reason(candidates: Make) -> None:
    error = candidates(Proposes()).none_left(view_of("10.0.0.16/28"), REFUSAL)
    assert str(error) == (
        "no subnet that ipam 'mine' proposed could be claimed (first: 10.0.0.16/28 is in use by 'x'); "
        "1 of 15 subnets of the mesh 10.0.0.0/24 are taken"
    )
    assert error.exit_code == 4


def test_a_configured_address_that_is_refused_is_just_that(candidates: Make) -> None:
    full = view_of("10.0.0.0/24")
    assert candidates(Proposes(), private_address="10.0.0.18").none_left(full, REFUSAL) is REFUSAL
