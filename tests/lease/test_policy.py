"""Which leased records go: pure, from what was seen. What becomes of a mesh in time is in test_lease_properties."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.lease.policy import Fate, Leased, Watch, leased_records, renewal_pause_s, successors
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.view import Entry
from ikto_core.testing.strategies import peer_records

LEASE_S = 1000
RECORD = Leased("peers.a", 7, "run-1", LEASE_S)


def at(seconds: float) -> str:
    """When a write was stored, in the form that nats-server tells it."""
    return datetime.fromtimestamp(1_700_000_000 + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f123Z")


def renewal(seconds: float, value: bytes | None = b"run-1", revision: int = 3) -> Entry:
    return Entry(revision, value, at(seconds))


def after_watching(found: Entry | None, watched_s: float, *, age_s: float, record: Leased = RECORD) -> Fate:
    """Look twice at a record of which this is the renewal, and return what is thought of it at the second time."""
    watch = Watch(slack_s=10)
    for now_s in (0.0, watched_s):
        watch.begin(now_s, now_s, {record.key})
        fate = watch.judge(record, found, at(age_s), now_s)
    return fate


@pytest.mark.parametrize(
    ("watched_s", "age_s", "fate"),
    [
        (LEASE_S, LEASE_S - 1, Fate.ALIVE),
        (LEASE_S / 2 - 1, LEASE_S + 1, Fate.LAPSED),
        (LEASE_S / 2, LEASE_S + 1, Fate.EXPIRED),
        (LEASE_S, -(10**6), Fate.ALIVE),  # the clock of NATS went back
    ],
)
def test_a_record_goes_after_its_lease_and_half_a_lease_of_watching(watched_s: float, age_s: float, fate: Fate) -> None:
    assert after_watching(renewal(0), watched_s, age_s=age_s) is fate


@pytest.mark.parametrize(
    "found",
    [None, renewal(0, b"run-0"), renewal(0, b""), renewal(0, None), Entry(3, b"run-1"), Entry(3, b"run-1", "now")],
    ids=["none", "of another run", "empty", "deleted", "of no time", "of a time that is none"],
)
def test_a_record_that_its_own_run_never_renewed_stays(found: Entry | None) -> None:
    assert after_watching(found, 10 * LEASE_S, age_s=10 * LEASE_S) is Fate.UNBOUND


@pytest.mark.parametrize(
    ("record", "found"),
    [(RECORD, renewal(0, revision=4)), (RECORD, renewal(-1)), (replace(RECORD, revision=8), renewal(0))],
    ids=["renewed", "of another history", "written anew"],
)
def test_whatever_changes_is_watched_anew(record: Leased, found: Entry) -> None:
    watch = Watch(slack_s=10)
    assert watch.judge(RECORD, renewal(0), at(2 * LEASE_S), 0) is Fate.LAPSED
    assert watch.judge(record, found, at(2 * LEASE_S), LEASE_S) is Fate.LAPSED
    assert watch.judge(record, found, at(2 * LEASE_S), 1.5 * LEASE_S) is Fate.EXPIRED


@pytest.mark.parametrize(("late_s", "fate"), [(10, Fate.EXPIRED), (11, Fate.LAPSED)])
def test_who_stood_still_watches_anew(late_s: float, fate: Fate) -> None:
    watch = Watch(slack_s=10)
    assert watch.judge(RECORD, renewal(0), at(2 * LEASE_S), 0) is Fate.LAPSED
    watch.begin(LEASE_S + late_s, LEASE_S, {RECORD.key})
    assert watch.judge(RECORD, renewal(0), at(2 * LEASE_S), LEASE_S + late_s) is fate


def test_who_was_interrupted_watches_anew() -> None:
    watch = Watch(slack_s=10)
    watch.judge(RECORD, renewal(0), at(2 * LEASE_S), 0)
    watch.forget()
    assert watch.judge(RECORD, renewal(0), at(2 * LEASE_S), LEASE_S) is Fate.LAPSED


def test_what_is_gone_is_forgotten() -> None:
    watch = Watch(slack_s=10)
    watch.judge(RECORD, renewal(0), at(2 * LEASE_S), 0)
    watch.begin(10, 10, {"peers.b"})
    assert watch.judge(RECORD, renewal(0), at(2 * LEASE_S), LEASE_S) is Fate.LAPSED


@given(peer_records())
def test_only_records_that_promise_renewals_are_leased(record: PeerRecord) -> None:
    record = replace(record, instance="run-1", lease=60)
    stays = [replace(record, lease=0), replace(record, lease=-60), replace(record, instance="")]
    table = {record.key: Entry(5, encode_record(record))}
    assert leased_records(table) == [Leased(record.key, 5, "run-1", 60)]
    assert leased_records({"other": table[record.key]}) == []
    for value in (None, b'{"lease":1', *map(encode_record, stays)):
        assert leased_records({record.key: Entry(5, value)}) == []


KEYS = st.sets(st.text("abc", min_size=1, max_size=3), min_size=1)


@given(KEYS)
def test_each_is_watched_by_those_before_it_going_round(keys: set[str]) -> None:
    leased = [Leased(key, 1, "run", 60) for key in keys]
    for own in keys:
        (*others,) = (record.key for record in successors(own, leased))
        assert sorted([own, *others]) == sorted(keys)
        assert [own, *others] == sorted(keys)[sorted(keys).index(own) :] + sorted(keys)[: sorted(keys).index(own)]


@given(st.floats(0, 1))
def test_who_lives_renews_well_within_what_is_watched(chance: float) -> None:
    assert 199 < renewal_pause_s(LEASE_S, chance) < 301
