"""A few records may get another public key at once; the others count on as they were, until they are released."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ikto_core.mesh.key_changes import KeyChanges
from ikto_core.mesh.records import record_key
from ikto_core.mesh.view import Entry, MeshRules, Ruling
from ikto_core.testing.devices import public_key_of
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey
from ikto_core.values.removal_brake import Brake, BrakeLimits
from tests.effort import max_examples

OWN_KEY = public_key_of(999)
RULES = MeshRules(cidr=Prefix.parse("fd10::/16"), subnet_prefix=48, own_key=OWN_KEY)
DELAY_S = 600.0


def kv_key(number: int) -> str:
    return record_key(f"fd10:{number:x}::/48")


def ruling(key: int | None, revision: int = 1, *, proved: bool = False) -> Ruling:
    """Return a ruling in favour of the key with this number, which is the entry's value; None: no record counts."""
    value, owner = (None, None) if key is None else (b"%d" % key, public_key_of(key))
    return Ruling(Entry(revision, value), proved=proved, owner=owner)


def changes(limits: BrakeLimits | None = None) -> KeyChanges:
    brake = Brake[str](limits or BrakeLimits(max_wait_s=DELAY_S))
    return KeyChanges(brake, lambda: RULES, remember_s=DELAY_S)


def mesh(count: int = 100, *, proved: bool = False) -> KeyChanges:
    """Return the key changes of a mesh of so many nodes, whose keys have the numbers of their subnets."""
    made = changes()
    made.update({kv_key(n): ruling(n, proved=proved) for n in range(1, count + 1)}, 0)
    return made


def taken(numbers: Iterable[int], by: int | None = 500, *, proved: bool = False) -> dict[str, Ruling]:
    """Return rulings that give the subnets of these numbers to other keys, the first of them with the number `by`."""
    return {kv_key(n): ruling(None if by is None else by + n, revision=7, proved=proved) for n in numbers}


def keys(rulings: dict[str, Ruling]) -> dict[str, PublicKey | None]:
    return {key: one.owner for key, one in rulings.items()}


def test_thirty_of_a_hundred_keys_may_change_and_seventy_records_count_on_as_they_were() -> None:
    made = mesh()
    attack = taken(range(1, 101))
    counts = made.update(attack, 1)
    changed = {key for key, one in counts.items() if one == attack[key]}
    assert (len(changed), len(made.waiting)) == (30, 70)
    for number in range(1, 101):
        if kv_key(number) not in changed:
            held = counts[kv_key(number)]
            assert held.entry == ruling(number).entry
            assert held.refused
            assert (held.refused.revision, "peers release" in held.refused.reason) == (7, True)


def test_changes_one_by_one_have_the_same_limit() -> None:
    made = mesh()
    for number in range(1, 61):
        made.update(taken([number]), number / 2)
    assert len(made.waiting) == 30


def test_a_few_changes_of_a_small_mesh_are_applied_at_once() -> None:
    made = mesh(6)
    assert made.update(taken(range(1, 6)), 1) == taken(range(1, 6))


def test_what_waits_is_applied_after_the_delay_or_when_it_is_released() -> None:
    for end in ("delay", "release"):
        made = mesh()
        made.update(taken(range(1, 101)), 1)
        waiting = dict(made.waiting)
        assert made.expire(600.9) == {}
        assert (made.expire(601) if end == "delay" else made.release(2)) == waiting
        assert not made.waiting
        made.update(taken(range(1, 101), by=800), 1000)
        assert len(made.waiting) == 70


def test_a_record_that_gets_its_key_back_waits_no_longer_and_later_waits_from_the_start() -> None:
    made = mesh(20)
    made.update(taken(range(1, 21)), 1)
    held = min(made.waiting)
    number = next(n for n in range(1, 21) if kv_key(n) == held)
    assert made.update({held: ruling(number, revision=8)}, 300) == {held: ruling(number, revision=8)}
    assert made.expire(602) != {}
    assert not made.waiting
    made.update(taken([n for n in range(1, 21) if n != number], by=600), 603)
    made.update(taken([number]), 604)
    assert held in made.waiting
    assert held not in made.expire(1203)


def test_a_record_that_waited_alone_and_got_its_key_back_waits_from_the_start() -> None:
    made = changes(BrakeLimits(at_least=0, share=0.0, max_wait_s=DELAY_S))
    made.update({kv_key(1): ruling(1)}, 0)
    for now in (1, 900):
        made.update(taken([1]), now)
        assert made.waiting.keys() == {kv_key(1)}
        made.update({kv_key(1): ruling(1)}, now + 1)
        assert not made.waiting


def test_what_was_released_is_limited_again() -> None:
    made = mesh()
    made.update(taken(range(1, 101)), 1)
    made.release(2)
    counts = made.update(taken(range(1, 101)), 3)
    assert not made.waiting, "they have these keys"
    assert counts == taken(range(1, 101))
    made.update({kv_key(n): ruling(n) for n in range(1, 101)}, 4)
    assert len(made.waiting) == 100, "thirty had changed within a minute; see BrakeLimits"


def test_the_limit_is_a_share_of_the_records_that_there_are() -> None:
    made = mesh()
    made.update(taken(range(11, 101), by=None), 1)
    made.expire(601)
    made.update(taken(range(1, 11)), 602)
    assert len(made.waiting) == 5


def test_deleting_records_first_does_not_evade_the_limit() -> None:
    made = mesh()
    deleted = taken(range(1, 101), by=None)
    assert made.update(deleted, 1) == deleted
    counts = made.update(taken(range(1, 101)), 2)
    assert len(made.waiting) == 70
    assert all(counts[key].entry == Entry(7, None) for key in made.waiting), "nobody has what was deleted"


def test_a_change_that_waits_ends_with_its_record_also_when_the_former_holder_is_forgotten() -> None:
    made = changes(BrakeLimits(at_least=0, share=0.0, max_wait_s=DELAY_S))
    made.update({kv_key(1): ruling(1)}, 0)
    made.update(taken([1], by=None), 1)
    made.update(taken([1]), 300)
    assert made.expire(700) == {}
    assert made.update({kv_key(1): ruling(None, 0)}, 701) == {kv_key(1): ruling(None, 0)}
    assert not made.waiting


def test_a_subnet_that_nobody_has_had_for_long_is_free() -> None:
    for forget in (True, False):
        made = mesh()
        made.update(taken(range(1, 101), by=None), 1)
        made.update(taken(range(1, 101), by=None), 500)
        if forget:
            made.expire(601)
        assert made.update(taken(range(1, 101)), 601) == taken(range(1, 101))


def test_new_records_and_changes_of_anything_but_the_key_never_wait() -> None:
    made = mesh()
    later = {kv_key(n): ruling(n, revision=5) for n in range(1, 101)}
    joining = {kv_key(n): ruling(n) for n in range(200, 400)}
    assert made.update(later | joining, 1) == later | joining


@pytest.mark.parametrize("proved", [True, False])
def test_only_a_record_that_was_proved_may_change_without_limit(proved: bool) -> None:
    """Its pin has admitted the change; a proof of the newcomer alone says nothing about the subnet."""
    made = mesh(proved=proved)
    made.update(taken(range(1, 101), proved=True), 1)
    assert len(made.waiting) == (0 if proved else 70)


def test_this_nodes_own_keys_are_not_limited() -> None:
    made = mesh()
    own = {kv_key(n): ruling(999) for n in range(1, 101)}
    assert made.update(own, 1) == own
    assert made.update(taken(range(1, 101)), 2) == taken(range(1, 101))


def test_the_entry_that_counts_is_known_while_a_change_waits() -> None:
    made = mesh()
    made.update(taken(range(1, 101)), 1)
    for number in range(1, 101):
        expected = ruling(number).entry if kv_key(number) in made.waiting else None
        assert made.counting(kv_key(number)) == expected


RULINGS = st.dictionaries(
    st.integers(1, 8).map(kv_key),
    st.builds(ruling, st.none() | st.sampled_from([1, 2, 3, 999]), st.integers(1, 9), proved=st.booleans()),
    max_size=8,
)
STEPS = st.lists(st.tuples(RULINGS, st.sampled_from(["update", "expire", "release"]), st.integers(0, 400)))


@settings(max_examples=max_examples(300), deadline=None)
@given(STEPS, st.sampled_from([BrakeLimits(at_least=1, share=0), BrakeLimits(at_least=0, share=0.5)]))
def test_what_counts_is_always_held_or_the_latest_and_the_latest_in_the_end(
    steps: list[tuple[dict[str, Ruling], str, int]], limits: BrakeLimits
) -> None:
    made, now, latest, counts = changes(limits), 0, dict[str, Ruling](), dict[str, Ruling]()
    for rulings, step, seconds in steps:
        now += seconds
        if step == "update":
            latest |= rulings
            counts |= made.update(rulings, now)
        else:
            counts |= made.expire(now) if step == "expire" else made.release(now)
        assert {key for key, one in counts.items() if one.refused} == made.waiting.keys()
        assert made.waiting == {key: latest[key] for key in made.waiting}
        assert all(counts[key].entry.value == one.entry.value for key, one in latest.items() if key not in made.waiting)
    counts |= made.expire(now + 600)
    assert not made.waiting
    assert keys(counts) == keys(latest)
