"""Records without a proof are judged anew when a proof of their key comes or goes; many of them only now and then."""

import pytest
from msgspec.structs import replace

from ikto_core.mesh.pins import Pins
from ikto_core.mesh.proofs import ProofIndex
from ikto_core.mesh.records import encode_record
from ikto_core.mesh.unproved import FEW, LATER_S
from ikto_core.mesh.view import Entry, MeshRules
from tests.samples import KEY, MESH, OWN_KEY, record, signed

PROVED = record("10.0.0.240/28", KEY)
RULES = MeshRules(cidr=MESH, subnet_prefix=28, own_key=OWN_KEY)


def unproved(count: int) -> dict[str, Entry]:
    """Return records that name one key without a proof."""
    records = [record(f"10.0.0.{number}/32", KEY) for number in range(count)]
    return {found.key: Entry(revision, encode_record(found)) for revision, found in enumerate(records, start=1)}


def toggles(pins: Pins, times: int) -> int:
    """Prove a key and give it up again; return how often something was judged."""
    judged = 0
    for serial in range(1, times + 1):
        found = replace(PROVED, left=serial % 2 == 0)
        judged += len(pins.update({PROVED.key: Entry(100 + serial, signed(found, serial))}, 0.0))
    return judged


@pytest.fixture
def pins() -> Pins:
    return Pins(ProofIndex("ikto-mesh"), lambda: RULES)


def test_a_few_are_judged_at_once(pins: Pins) -> None:
    pins.update(unproved(FEW), 0.0)
    assert toggles(pins, 1) == FEW + 1


def test_many_are_judged_later_and_once_for_all_changes(pins: Pins) -> None:
    many = unproved(FEW + 1)
    pins.update(many, 0.0)
    assert toggles(pins, 9) == 9
    assert not pins.expire(LATER_S - 1)
    judged = pins.expire(LATER_S)
    assert judged.keys() == many.keys()
    assert all(ruling.refused and "proves its records" in ruling.refused.reason for ruling in judged.values())
    assert not pins.expire(2 * LATER_S)


def test_a_bucket_that_is_read_anew_is_judged_as_a_whole(pins: Pins) -> None:
    many = unproved(FEW + 1)
    pins.update(many, 0.0)
    toggles(pins, 1)
    judged = pins.replace({**many, PROVED.key: pins.entry(PROVED.key)}, 0.0)
    assert sum(ruling.refused is not None for ruling in judged.values()) == FEW + 1
    assert not pins.expire(LATER_S)
