"""One node at most claims a subnet, whichever requests and answers are lost; records of other nodes stay."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from ikto_core.claim import policy
from ikto_core.claim.alarms import Alarms
from ikto_core.claim.claimant import ATTEMPTS, Claimant, ClonedError
from ikto_core.claim.policy import ClaimContext, Hold, Identity
from ikto_core.errors import AddressInUseError, NatsDeniedError, NatsError, WriteUnknownError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.proofs import ProofIndex, judge
from ikto_core.mesh.records import MAX_ENDPOINTS, PeerRecord, decode_record, encode_record
from ikto_core.mesh.view import Entry
from ikto_core.values.addressing import Endpoint
from tests.samples import KEY, OWN_KEY, OWN_SUBNET, record, sign_after, signed

WANTED = record(str(OWN_SUBNET), OWN_KEY, "own", instance="now")
FOREIGN = record(str(OWN_SUBNET), KEY, "other", instance="elsewhere")
COPY = replace(WANTED, instance="copy", name="copy")


def claimant_and_proofs() -> tuple[Claimant, ProofIndex]:
    nonces, proofs = count(1), ProofIndex("ikto-mesh")
    identity = Identity(public_key=OWN_KEY, instance="now", instances=frozenset({"before"}))
    draw_nonce, alarms = lambda: f"nonce-{next(nonces)}", Alarms(proofs.stats, lambda: 0.0)
    return Claimant(lambda: identity, draw_nonce, sign_after, proofs, alarms), proofs


def claimant() -> Claimant:
    return claimant_and_proofs()[0]


def context(**members: Any) -> Callable[[Entry | None], ClaimContext]:
    """Return a function of where the run stands, whatever the leader has."""
    return lambda _: ClaimContext(**members)


class CountingBucket(MemoryBucket):
    """A bucket that counts the writes since `set_found`, and gives access to the record under the claimed KV key."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.subscribe(self._count)

    def _count(self, _message: object) -> None:
        self.writes += 1

    def set_found(self, found: PeerRecord | bytes | None) -> int:
        """Write this under the claimed KV key, as another client; return its revision."""
        revision = self.write(WANTED.key, encode_record(found) if isinstance(found, PeerRecord) else found)
        self.writes = 0
        return revision

    @property
    def found(self) -> PeerRecord | None:
        """The record under the claimed KV key; None: there is none."""
        value = self.live.get(WANTED.key)
        return decode_record(WANTED.key, value) if value is not None else None

    def before_second_read(self, action: Callable[[], object]) -> None:
        """Call `action` just before the second read is answered."""
        reads = count(1)

        def interrupt() -> None:
            if next(reads) == 2:
                action()

        self.interrupt = interrupt


@pytest.fixture
def bucket() -> CountingBucket:
    return CountingBucket()


def equal_but_nonce(found: PeerRecord | None, wanted: PeerRecord) -> bool:
    return found is not None and policy.equal_but_nonce(found, wanted)


# -- what the key has --------------------------------------------------------------------------------------------------


async def test_a_key_that_was_never_written_is_created(bucket: CountingBucket) -> None:
    assert await claimant().claim(bucket, WANTED, context(starting=True)) == 1
    assert equal_but_nonce(bucket.found, WANTED)


async def test_a_deleted_record_is_written_again(bucket: CountingBucket) -> None:
    marker = bucket.set_found(None)
    assert await claimant().claim(bucket, WANTED, context(starting=False)) == marker + 1
    assert equal_but_nonce(bucket.found, WANTED)


@pytest.mark.parametrize("starting", [True, False])
async def test_a_record_of_an_earlier_run_is_rewritten(bucket: CountingBucket, starting: bool) -> None:
    bucket.set_found(replace(WANTED, instance="before"))
    await claimant().claim(bucket, WANTED, context(starting=starting))
    assert equal_but_nonce(bucket.found, WANTED)


async def test_an_up_to_date_record_is_not_written(bucket: CountingBucket) -> None:
    revision = bucket.set_found(replace(WANTED, nonce="x"))
    assert await claimant().claim(bucket, WANTED, context(starting=False)) == revision
    assert bucket.writes == 0


@pytest.mark.parametrize(
    ("found", "holder", "starting"),
    [
        (FOREIGN, "in use by 'other' (public key ", True),
        (FOREIGN, "in use by 'other' (public key ", False),
        (b"{", "unreadable record", True),
    ],
)
async def test_a_record_of_another_public_key_is_not_overwritten_and_the_error_names_it(
    bucket: CountingBucket, found: PeerRecord | bytes, holder: str, starting: bool
) -> None:
    bucket.set_found(found)
    with pytest.raises(AddressInUseError) as caught:
        await claimant().claim(bucket, WANTED, context(starting=starting))
    assert holder in str(caught.value)
    assert str(OWN_SUBNET) in str(caught.value)
    assert caught.value.exit_code == 4
    assert bucket.writes == 0


@pytest.mark.parametrize("same", [True, False])
async def test_a_node_whose_key_was_lost_is_told_how_to_get_its_record(bucket: CountingBucket, same: bool) -> None:
    bucket.set_found(replace(FOREIGN, name=WANTED.name) if same else FOREIGN)
    with pytest.raises(AddressInUseError) as caught:
        await claimant().claim(bucket, WANTED, context(starting=True))
    assert ("put the former one back" in caught.value.hint) is same
    assert (WANTED.key in caught.value.hint) is same
    assert "choose another private_address" in caught.value.hint


async def test_a_starting_node_takes_over_a_copys_record_and_a_running_one_raises_cloned_error(
    bucket: CountingBucket,
) -> None:
    bucket.set_found(COPY)
    await claimant().claim(bucket, WANTED, context(starting=True))
    assert equal_but_nonce(bucket.found, WANTED)
    bucket.set_found(signed(COPY, 8))
    with pytest.raises(ClonedError, match="taken over by 'copy'"):
        await claimant().claim(bucket, WANTED, context(starting=False))
    assert bucket.writes == 0


@pytest.mark.parametrize("found", [FOREIGN, COPY, signed(FOREIGN, 8)])
async def test_a_record_that_was_robbed_is_written_again_and_counted(
    bucket: CountingBucket, found: PeerRecord | bytes
) -> None:
    bucket.set_found(found)
    claims, proofs = claimant_and_proofs()
    await claims.claim(bucket, WANTED, context(hold=Hold.FIRM))
    assert equal_but_nonce(bucket.found, WANTED)
    assert proofs.stats.alarms == 1


async def test_a_record_that_only_the_leader_shows_is_left_for_now(bucket: CountingBucket) -> None:
    bucket.set_found(FOREIGN)
    with pytest.raises(NatsError, match="overwritten by 'other'"):
        await claimant().claim(bucket, WANTED, context(hold=Hold.DOUBTED))
    assert bucket.writes == 0


# -- lost requests and answers -----------------------------------------------------------------------------------------


async def test_a_write_whose_answer_was_lost_is_not_repeated(bucket: CountingBucket) -> None:
    bucket.faults.lose_answers = 1
    assert await claimant().claim(bucket, WANTED, context(starting=True)) == 1
    assert bucket.writes == 1


async def test_a_write_is_recognised_by_its_nonce_although_other_members_read_back_differently(
    bucket: CountingBucket,
) -> None:
    many = replace(WANTED, endpoints=tuple(Endpoint("192.0.2.1", port) for port in range(1, 2 * MAX_ENDPOINTS)))
    bucket.faults.lose_answers = 1
    assert await claimant().claim(bucket, many, context(starting=True)) == 1
    assert bucket.writes == 1


async def test_a_write_that_was_lost_is_repeated(bucket: CountingBucket) -> None:
    bucket.faults.lose_writes = 2
    assert await claimant().claim(bucket, WANTED, context(starting=True)) == 1
    assert equal_but_nonce(bucket.found, WANTED)


async def test_attempts_are_bounded(bucket: CountingBucket) -> None:
    bucket.faults.lose_writes = 100
    with pytest.raises(NatsError, match=f"could not claim {OWN_SUBNET} in {ATTEMPTS} attempts: the write was lost"):
        await claimant().claim(bucket, WANTED, context(starting=True))
    assert bucket.faults.lose_writes == 100 - ATTEMPTS


async def test_a_bucket_that_cannot_be_read_is_not_written(bucket: CountingBucket) -> None:
    bucket.faults.fail_reads = 1
    with pytest.raises(NatsError, match="no answer"):
        await claimant().claim(bucket, WANTED, context(starting=True))
    assert bucket.writes == 0


@pytest.mark.parametrize("answered", [True, False])
async def test_after_a_lost_answer_the_claim_is_decided_anew_on_what_the_leader_has(
    bucket: CountingBucket, answered: bool
) -> None:
    bucket.faults.lose_answers, bucket.faults.lose_writes = int(answered), int(not answered)
    bucket.before_second_read(lambda: bucket.set_found(FOREIGN))
    with pytest.raises(AddressInUseError, match="other"):
        await claimant().claim(bucket, WANTED, context(starting=True))
    assert bucket.found == FOREIGN


async def test_a_write_that_is_deleted_before_it_is_read_back_is_repeated(bucket: CountingBucket) -> None:
    bucket.faults.lose_answers = 1
    bucket.before_second_read(lambda: bucket.set_found(None))
    await claimant().claim(bucket, WANTED, context(starting=True))
    assert equal_but_nonce(bucket.found, WANTED)


# -- withdrawing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "gone"),
    [(WANTED, True), (COPY, True), (replace(WANTED, instance=""), True), (None, True), (FOREIGN, False), (b"{", False)],
)
async def test_only_a_record_with_the_own_public_key_is_withdrawn(
    bucket: CountingBucket, found: PeerRecord | bytes | None, gone: bool
) -> None:
    bucket.set_found(found)
    assert await claimant().withdraw(bucket, WANTED.key) == gone
    assert (WANTED.key not in bucket.live) == gone
    assert bucket.writes == (gone and found is not None)


async def test_a_node_signs_that_it_leaves_before_it_deletes_its_record(bucket: CountingBucket) -> None:
    written: list[bytes | None] = []
    bucket.set_found(signed(WANTED, 8))
    bucket.subscribe(lambda message: written.append(message.value))
    assert await claimant().withdraw(bucket, WANTED.key)
    left, deleted = written
    proof = judge("ikto-mesh", WANTED.key, left or b"").proof
    assert proof
    assert (proof.left, proof.serial, deleted) == (True, 9, None)


async def test_a_record_that_an_earlier_run_left_and_did_not_delete_is_deleted(bucket: CountingBucket) -> None:
    bucket.set_found(signed(replace(WANTED, left=True), 8))
    assert await claimant().withdraw(bucket, WANTED.key)
    assert WANTED.key not in bucket.live
    assert bucket.writes == 1


async def test_a_record_that_may_not_be_deleted_is_left(
    bucket: CountingBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is of another subnet than this node may use; or another node has written it, in this node's name."""

    async def refuse(*_: Any, **__: Any) -> int:
        raise NatsDeniedError("not allowed")

    bucket.set_found(signed(WANTED, 8))
    monkeypatch.setattr(bucket, "put", refuse)
    denied, proofs = claimant_and_proofs()
    with capture_logs() as logs:
        assert not await denied.withdraw(bucket, WANTED.key)
    (entry,) = logs
    assert (entry["event"], entry["log_level"], entry["key"]) == ("earlier record not withdrawn", "error", WANTED.key)
    assert "grant it the right" in entry["hint"]
    assert proofs.stats.alarms == 1


async def test_withdrawing_a_key_that_was_never_written_returns_true(bucket: CountingBucket) -> None:
    assert await claimant().withdraw(bucket, WANTED.key)
    assert bucket.writes == 0


async def test_a_withdrawal_whose_answer_is_lost_raises_write_unknown_error(bucket: CountingBucket) -> None:
    bucket.set_found(WANTED)
    bucket.faults.lose_answers = 1
    with pytest.raises(WriteUnknownError):
        await claimant().withdraw(bucket, WANTED.key)
