"""Nodes race for a subnet while the network loses and delays writes: one at most believes that it has the subnet."""

import types
from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
from contextlib import suppress
from itertools import chain, count, cycle
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.claim.alarms import Alarms
from ikto_core.claim.claimant import Claimant, ClonedError
from ikto_core.claim.policy import ClaimContext, Identity
from ikto_core.errors import AddressInUseError, IktoError, RevisionConflictError, WriteUnknownError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.proofs import ProofIndex
from ikto_core.mesh.records import decode_record, encode_record
from ikto_core.mesh.view import Entry
from tests.effort import max_examples
from tests.samples import KEYS, OWN_SUBNET, record, sign_after

Outcome = int | IktoError
DELIVERIES = st.lists(st.sampled_from(["answered", "answer lost", "write lost", "late"]), max_size=12)
SCHEDULES = st.lists(st.integers(0, 3), max_size=40)
RECORDS = [record(str(OWN_SUBNET), key, f"node-{number}", instance="run") for number, key in enumerate(KEYS[:3])]
SUBNET_KEY = RECORDS[0].key


@types.coroutine
def next_turn() -> Generator[None, None, None]:
    """Wait until the schedule runs this coroutine again."""
    yield


class Race:
    """Claims on one bucket, interleaved by a schedule.

    Args:
        deliveries: What happens to each write in turn: "answered", "answer lost", "write lost", or "late" (given up,
            carried out later); when there are no more, each is answered.

    """

    def __init__(self, deliveries: Iterable[str] = ()) -> None:
        self.bucket = MemoryBucket()
        self._deliveries = iter(deliveries)
        self._late: list[Coroutine[Any, Any, int]] = []

    async def get(self, key: str) -> Entry | None:
        await next_turn()
        return await self.bucket.get(key)

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:
        await next_turn()
        delivery = next(self._deliveries, "answered")
        if delivery == "late":
            self._late.append(self.bucket.put(key, value, expected=expected))
        if delivery in ("late", "write lost"):
            raise WriteUnknownError(delivery)
        try:
            answer: int | RevisionConflictError = await self.bucket.put(key, value, expected=expected)
        except RevisionConflictError as error:
            answer = error
        await next_turn()
        if delivery == "answer lost":
            raise WriteUnknownError(delivery)
        if isinstance(answer, RevisionConflictError):
            raise answer
        return answer

    def deliver_late(self) -> None:
        """Carry out the oldest late write."""
        with suppress(RevisionConflictError, StopIteration):
            self._late.pop(0).send(None)

    def run(self, claims: Sequence[Coroutine[Any, Any, int]], schedule: Iterable[int]) -> list[Outcome]:
        """Run claims to their ends, and return their outcomes.

        Each number of the schedule runs one step of that claim, or, one above the last, delivers a late write. After
        the schedule all claims run in turn.
        """
        outcomes: dict[int, Outcome] = {}
        steps = chain(schedule, cycle(range(len(claims))))
        while len(outcomes) < len(claims):
            number = next(steps)
            if number == len(claims) and self._late:
                self.deliver_late()
            if number < len(claims) and number not in outcomes:
                try:
                    claims[number].send(None)
                except StopIteration as finished:
                    outcomes[number] = finished.value
                except IktoError as error:
                    outcomes[number] = error
        while self._late:
            self.deliver_late()
        return [outcomes[number] for number in sorted(outcomes)]


def claimant_of(identity: Identity, draw_nonce: Callable[[], str] = str) -> Claimant:
    proofs = ProofIndex("ikto-mesh")
    return Claimant(lambda: identity, draw_nonce, sign_after, proofs, Alarms(proofs.stats, lambda: 0.0))


def claiming(race: Race, number: int, instance: str = "run", *, starting: bool = True) -> Coroutine[Any, Any, int]:
    """Return the claim of the subnet by the node of this number, at its start or later."""
    nonces = count(1)
    identity = Identity(public_key=KEYS[number], instance=instance)
    claimant = claimant_of(identity, lambda: f"{number}-{instance}-{next(nonces)}")
    context = ClaimContext(starting=starting)
    return claimant.claim(race, replace(RECORDS[number], instance=instance), lambda _: context)


def holder(race: Race) -> str:
    """Return the name in the record that the bucket has."""
    return decode_record(SUBNET_KEY, race.bucket.live[SUBNET_KEY]).name


def test_the_error_of_a_lost_race_names_the_winner() -> None:
    race = Race()
    won, lost = race.run([claiming(race, 0), claiming(race, 1)], [])
    assert won == 1
    assert isinstance(lost, AddressInUseError)
    assert "node-0" in str(lost)


def test_of_two_copies_that_start_together_the_later_keeps_the_subnet() -> None:
    race = Race()
    assert race.run([claiming(race, 0, "one"), claiming(race, 0, "other")], []) == [1, 2]
    [earlier] = race.run([claiming(race, 0, "one", starting=False)], [])
    assert isinstance(earlier, ClonedError)


def test_a_record_that_another_node_writes_during_a_withdrawal_stays() -> None:
    race = Race()
    race.bucket.write(SUBNET_KEY, encode_record(RECORDS[0]))
    withdrawal = claimant_of(Identity(public_key=KEYS[0], instance="run")).withdraw(race, SUBNET_KEY)
    for _ in range(2):
        withdrawal.send(None)  # it has read the record, and is about to delete it
    race.bucket.write(SUBNET_KEY, encode_record(RECORDS[1]))
    assert race.run([withdrawal], []) == [False]
    assert holder(race) == "node-1"


@settings(max_examples=max_examples(500), deadline=None)
@given(st.integers(2, 3), DELIVERIES, SCHEDULES, st.booleans())
def test_one_racing_node_at_most_gets_the_subnet_and_the_record_is_its_own(
    nodes: int, deliveries: list[str], schedule: list[int], deleted_before: bool
) -> None:
    race = Race(deliveries)
    if deleted_before:
        race.bucket.write(SUBNET_KEY, encode_record(RECORDS[0]))
        race.bucket.write(SUBNET_KEY, None)
    outcomes = race.run([claiming(race, number) for number in range(nodes)], [min(step, nodes) for step in schedule])
    owners = [f"node-{number}" for number, outcome in enumerate(outcomes) if isinstance(outcome, int)]
    assert len(owners) <= 1
    assert owners in ([], [holder(race)])
    assert owners or any(delivery != "answered" for delivery in deliveries)
