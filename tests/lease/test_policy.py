"""Which leased records are removed: the pure policy. test_properties.py runs whole meshes over time."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.lease.policy import LeasedRecord, LeaseStatus, Watch, leased_records, renewal_pause_s, successors
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.view import Entry
from ikto_core.testing.strategies import peer_records

LEASE_S = 1000
RECORD = LeasedRecord("peers.a", 7, "run-1", LEASE_S)


def at(seconds: float) -> str:
    """Return the time that a write was stored, in the format of nats-server."""
    return datetime.fromtimestamp(1_700_000_000 + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f123Z")


def renewal(seconds: float, value: bytes | None = b"run-1", revision: int = 3) -> Entry:
    return Entry(revision, value, at(seconds))


def after_watching(
    found: Entry | None, watched_s: float, *, age_s: float, record: LeasedRecord = RECORD
) -> LeaseStatus:
    """Observe a record with this renewal twice, `watched_s` apart, and return its status at the second time."""
    watch = Watch(slack_s=10)
    for now_s in (0.0, watched_s):
        watch.begin_round(now_s, now_s, {record.key})
        status = watch.observe(record, found, at(age_s), now_s)
    return status


@pytest.mark.parametrize(
    ("watched_s", "age_s", "status"),
    [
        (LEASE_S, LEASE_S - 1, LeaseStatus.ALIVE),
        (LEASE_S / 2 - 1, LEASE_S + 1, LeaseStatus.SUSPECT),
        (LEASE_S / 2, LEASE_S + 1, LeaseStatus.EXPIRED),
        (LEASE_S, -(10**6), LeaseStatus.ALIVE),  # the clock of NATS jumped backwards
    ],
)
def test_a_record_expires_after_its_lease_and_half_a_lease_of_watching(
    watched_s: float, age_s: float, status: LeaseStatus
) -> None:
    assert after_watching(renewal(0), watched_s, age_s=age_s) is status


@pytest.mark.parametrize(
    "found",
    [None, renewal(0, b"run-0"), renewal(0, b""), renewal(0, None), Entry(3, b"run-1"), Entry(3, b"run-1", "now")],
    ids=["none", "of another run", "empty", "deleted", "without a time", "with an invalid time"],
)
def test_a_record_never_renewed_by_its_own_run_stays(found: Entry | None) -> None:
    assert after_watching(found, 10 * LEASE_S, age_s=10 * LEASE_S) is LeaseStatus.NEVER_RENEWED


@pytest.mark.parametrize(
    ("record", "found"),
    [(RECORD, renewal(0, revision=4)), (RECORD, renewal(-1)), (replace(RECORD, revision=8), renewal(0))],
    ids=["renewed", "of another history", "rewritten"],
)
def test_any_change_restarts_the_watching(record: LeasedRecord, found: Entry) -> None:
    watch = Watch(slack_s=10)
    assert watch.observe(RECORD, renewal(0), at(2 * LEASE_S), 0) is LeaseStatus.SUSPECT
    assert watch.observe(record, found, at(2 * LEASE_S), LEASE_S) is LeaseStatus.SUSPECT
    assert watch.observe(record, found, at(2 * LEASE_S), 1.5 * LEASE_S) is LeaseStatus.EXPIRED


@pytest.mark.parametrize(("late_s", "status"), [(10, LeaseStatus.EXPIRED), (11, LeaseStatus.SUSPECT)])
def test_a_late_round_restarts_the_watching(late_s: float, status: LeaseStatus) -> None:
    watch = Watch(slack_s=10)
    assert watch.observe(RECORD, renewal(0), at(2 * LEASE_S), 0) is LeaseStatus.SUSPECT
    watch.begin_round(LEASE_S + late_s, LEASE_S, {RECORD.key})
    assert watch.observe(RECORD, renewal(0), at(2 * LEASE_S), LEASE_S + late_s) is status


def test_an_interruption_restarts_the_watching() -> None:
    watch = Watch(slack_s=10)
    watch.observe(RECORD, renewal(0), at(2 * LEASE_S), 0)
    watch.reset()
    assert watch.observe(RECORD, renewal(0), at(2 * LEASE_S), LEASE_S) is LeaseStatus.SUSPECT


def test_a_record_that_left_the_bucket_is_watched_from_the_beginning() -> None:
    watch = Watch(slack_s=10)
    watch.observe(RECORD, renewal(0), at(2 * LEASE_S), 0)
    watch.begin_round(10, 10, {"peers.b"})
    assert watch.observe(RECORD, renewal(0), at(2 * LEASE_S), LEASE_S) is LeaseStatus.SUSPECT


@given(peer_records())
def test_only_records_with_a_lease_and_an_instance_are_leased(record: PeerRecord) -> None:
    record = replace(record, instance="run-1", lease=60)
    stays = [replace(record, lease=0), replace(record, lease=-60), replace(record, instance="")]
    table = {record.key: Entry(5, encode_record(record))}
    assert leased_records(table) == [LeasedRecord(record.key, 5, "run-1", 60)]
    assert leased_records({"other": table[record.key]}) == []
    for value in (None, b'{"lease":1', *map(encode_record, stays)):
        assert leased_records({record.key: Entry(5, value)}) == []


KEYS = st.sets(st.text("abc", min_size=1, max_size=3), min_size=1)


@given(KEYS)
def test_successors_are_the_other_records_in_key_order_wrapping_around(keys: set[str]) -> None:
    leased = [LeasedRecord(key, 1, "run", 60) for key in keys]
    for own in keys:
        (*others,) = (record.key for record in successors(own, leased))
        assert sorted([own, *others]) == sorted(keys)
        assert [own, *others] == sorted(keys)[sorted(keys).index(own) :] + sorted(keys)[: sorted(keys).index(own)]


@given(st.floats(0, 1))
def test_the_pause_between_renewals_is_well_below_the_time_watched(chance: float) -> None:
    assert 199 < renewal_pause_s(LEASE_S, chance) < 301
