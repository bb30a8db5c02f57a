"""A subnet is claimed by one node at most, whatever is lost on the way, and a record that is not ours stays."""

from collections.abc import Callable
from itertools import count

import pytest
from msgspec.structs import replace

from ikto_core.claim.claimant import ATTEMPTS, Claimant, ClonedError
from ikto_core.claim.policy import Identity
from ikto_core.errors import AddressInUseError, NatsError, WriteUnknownError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import MAX_ENDPOINTS, PeerRecord, decode_record, encode_record
from ikto_core.values.addressing import Endpoint
from tests.samples import KEY, OWN_KEY, OWN_SUBNET, record

OURS = record(str(OWN_SUBNET), OWN_KEY, "ours", instance="now")
THEIRS = record(str(OWN_SUBNET), KEY, "theirs", instance="elsewhere")
COPY = replace(OURS, instance="copy", name="copy")


def claimant() -> Claimant:
    nonces = count(1)
    identity = Identity(public_key=OWN_KEY, instance="now", instances=frozenset({"before"}))
    return Claimant(lambda: identity, lambda: f"nonce-{next(nonces)}")


class Watched(MemoryBucket):
    """A bucket that counts what was written, and shows what stands under the claimed key."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.subscribe(self._count)

    def _count(self, _message: object) -> None:
        self.writes += 1

    def hold(self, found: PeerRecord | bytes | None) -> int:
        """Let this stand under our key, whoever wrote it; return its revision."""
        revision = self.write(OURS.key, encode_record(found) if isinstance(found, PeerRecord) else found)
        self.writes = 0
        return revision

    @property
    def held(self) -> PeerRecord | None:
        value = self.live.get(OURS.key)
        return decode_record(OURS.key, value) if value is not None else None

    def before_the_second_read(self, happens: Callable[[], object]) -> None:
        reads = count(1)

        def answering() -> None:
            if next(reads) == 2:
                happens()

        self.interrupt = answering


@pytest.fixture
def bucket() -> Watched:
    return Watched()


def same(found: PeerRecord | None, wanted: PeerRecord) -> bool:
    return found is not None and replace(found, nonce="") == wanted


# -- the five steps ----------------------------------------------------------------------------------------------------


async def test_a_key_that_nobody_wrote_is_created(bucket: Watched) -> None:
    assert await claimant().claim(bucket, OURS, starting=True) == 1
    assert same(bucket.held, OURS)


async def test_a_deleted_record_is_written_again(bucket: Watched) -> None:
    marker = bucket.hold(None)
    assert await claimant().claim(bucket, OURS, starting=False) == marker + 1
    assert same(bucket.held, OURS)


@pytest.mark.parametrize("starting", [True, False])
async def test_an_earlier_runs_record_is_refreshed(bucket: Watched, starting: bool) -> None:
    bucket.hold(replace(OURS, instance="before"))
    await claimant().claim(bucket, OURS, starting=starting)
    assert same(bucket.held, OURS)


async def test_a_record_that_is_as_it_should_be_is_not_written(bucket: Watched) -> None:
    revision = bucket.hold(replace(OURS, nonce="x"))
    assert await claimant().claim(bucket, OURS, starting=False) == revision
    assert bucket.writes == 0


@pytest.mark.parametrize(
    ("found", "who", "starting"),
    [
        (THEIRS, "in use by 'theirs' (public key ", True),
        (THEIRS, "in use by 'theirs' (public key ", False),
        (b"{", "unreadable record", True),
    ],
)
async def test_another_keys_record_is_left_alone_and_named(
    bucket: Watched, found: PeerRecord | bytes, who: str, starting: bool
) -> None:
    bucket.hold(found)
    with pytest.raises(AddressInUseError) as caught:
        await claimant().claim(bucket, OURS, starting=starting)
    assert who in str(caught.value)
    assert str(OWN_SUBNET) in str(caught.value)
    assert caught.value.exit_code == 4
    assert bucket.writes == 0


async def test_a_newcomer_takes_over_from_a_copy_of_its_machine_and_the_older_one_stops(bucket: Watched) -> None:
    bucket.hold(COPY)
    await claimant().claim(bucket, OURS, starting=True)
    assert same(bucket.held, OURS)
    bucket.hold(COPY)
    with pytest.raises(ClonedError, match="taken over by 'copy'"):
        await claimant().claim(bucket, OURS, starting=False)
    assert bucket.writes == 0


# -- answers that don't come -------------------------------------------------------------------------------------------


async def test_a_write_that_happened_although_its_answer_was_lost_is_not_repeated(bucket: Watched) -> None:
    bucket.faults.lose_answers = 1
    assert await claimant().claim(bucket, OURS, starting=True) == 1
    assert bucket.writes == 1


async def test_a_write_is_known_by_its_nonce_whatever_else_reads_back_otherwise(bucket: Watched) -> None:
    many = replace(OURS, endpoints=tuple(Endpoint("192.0.2.1", port) for port in range(1, 2 * MAX_ENDPOINTS)))
    bucket.faults.lose_answers = 1
    assert await claimant().claim(bucket, many, starting=True) == 1
    assert bucket.writes == 1


async def test_a_write_that_was_lost_is_repeated(bucket: Watched) -> None:
    bucket.faults.lose_writes = 2
    assert await claimant().claim(bucket, OURS, starting=True) == 1
    assert same(bucket.held, OURS)


async def test_attempts_are_bounded(bucket: Watched) -> None:
    bucket.faults.lose_writes = 100
    with pytest.raises(NatsError, match=f"could not claim {OWN_SUBNET} in {ATTEMPTS} attempts"):
        await claimant().claim(bucket, OURS, starting=True)
    assert bucket.faults.lose_writes == 100 - ATTEMPTS


async def test_a_bucket_that_does_not_answer_is_not_written(bucket: Watched) -> None:
    bucket.faults.fail_reads = 1
    with pytest.raises(NatsError, match="no answer"):
        await claimant().claim(bucket, OURS, starting=True)
    assert bucket.writes == 0


@pytest.mark.parametrize("answered", [True, False])
async def test_after_a_lost_answer_all_is_decided_on_what_the_leader_holds_then(
    bucket: Watched, answered: bool
) -> None:
    bucket.faults.lose_answers, bucket.faults.lose_writes = int(answered), int(not answered)
    bucket.before_the_second_read(lambda: bucket.hold(THEIRS))
    with pytest.raises(AddressInUseError, match="theirs"):
        await claimant().claim(bucket, OURS, starting=True)
    assert bucket.held == THEIRS


async def test_a_write_that_was_deleted_before_it_was_read_back_is_repeated(bucket: Watched) -> None:
    bucket.faults.lose_answers = 1
    bucket.before_the_second_read(lambda: bucket.hold(None))
    await claimant().claim(bucket, OURS, starting=True)
    assert same(bucket.held, OURS)


# -- withdrawing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "gone"),
    [(OURS, True), (COPY, True), (replace(OURS, instance=""), True), (None, True), (THEIRS, False), (b"{", False)],
)
async def test_only_a_record_with_our_public_key_is_withdrawn(
    bucket: Watched, found: PeerRecord | bytes | None, gone: bool
) -> None:
    bucket.hold(found)
    assert await claimant().withdraw(bucket, OURS.key) == gone
    assert (OURS.key not in bucket.live) == gone
    assert bucket.writes == (gone and found is not None)


async def test_what_was_never_written_is_gone(bucket: Watched) -> None:
    assert await claimant().withdraw(bucket, OURS.key)
    assert bucket.writes == 0


async def test_a_withdrawal_whose_answer_was_lost_says_so(bucket: Watched) -> None:
    bucket.hold(OURS)
    bucket.faults.lose_answers = 1
    with pytest.raises(WriteUnknownError):
        await claimant().withdraw(bucket, OURS.key)
