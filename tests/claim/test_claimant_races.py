"""Whoever races for a subnet, and whatever the network does to their writes: one at most believes that it has it."""

import types
from collections.abc import Coroutine, Generator, Iterable, Sequence
from contextlib import suppress
from itertools import chain, count, cycle
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.claim.claimant import Claimant, ClonedError
from ikto_core.claim.policy import Identity
from ikto_core.errors import AddressInUseError, IktoError, RevisionConflictError, WriteUnknownError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import decode_record, encode_record
from ikto_core.mesh.view import Entry
from tests.samples import KEYS, OWN_SUBNET, record

Outcome = int | IktoError
FATES = st.lists(st.sampled_from(["answered", "answer lost", "write lost", "late"]), max_size=12)
SCHEDULES = st.lists(st.integers(0, 3), max_size=40)
RECORDS = [record(str(OWN_SUBNET), key, f"node-{number}", instance="run") for number, key in enumerate(KEYS[:3])]
SUBNET_KEY = RECORDS[0].key


@types.coroutine
def turn() -> Generator[None, None, None]:
    """Wait until the schedule comes back to this coroutine."""
    yield


class RaceTrack:
    """A bucket that takes each request and gives each answer in its turn, and does to writes what `fates` says."""

    def __init__(self, fates: Iterable[str] = ()) -> None:
        self.bucket = MemoryBucket()
        self._fates = iter(fates)
        self._late: list[Coroutine[Any, Any, int]] = []

    async def get(self, key: str) -> Entry | None:
        await turn()
        return await self.bucket.get(key)

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:
        await turn()
        fate = next(self._fates, "answered")
        if fate == "late":
            self._late.append(self.bucket.put(key, value, expected=expected))
        if fate in ("late", "write lost"):
            raise WriteUnknownError(fate)
        try:
            answer: int | RevisionConflictError = await self.bucket.put(key, value, expected=expected)
        except RevisionConflictError as error:
            answer = error
        await turn()
        if fate == "answer lost":
            raise WriteUnknownError(fate)
        if isinstance(answer, RevisionConflictError):
            raise answer
        return answer

    def deliver_late(self) -> None:
        """Let the write that is under way for the longest time arrive."""
        with suppress(RevisionConflictError, StopIteration):
            self._late.pop(0).send(None)

    def run(self, saved_claim: Sequence[Coroutine[Any, Any, int]], schedule: Iterable[int]) -> list[Outcome]:
        """Let each claim take the steps that the schedule gives it (one number more: the network), then all in turn."""
        outcomes: dict[int, Outcome] = {}
        steps = chain(schedule, cycle(range(len(saved_claim))))
        while len(outcomes) < len(saved_claim):
            number = next(steps)
            if number == len(saved_claim) and self._late:
                self.deliver_late()
            if number < len(saved_claim) and number not in outcomes:
                try:
                    saved_claim[number].send(None)
                except StopIteration as finished:
                    outcomes[number] = finished.value
                except IktoError as error:
                    outcomes[number] = error
        while self._late:
            self.deliver_late()
        return [outcomes[number] for number in sorted(outcomes)]


def claiming(
    track: RaceTrack, number: int, instance: str = "run", *, starting: bool = True
) -> Coroutine[Any, Any, int]:
    """Claim the subnet as the node of this number does, at its start or later on."""
    nonces = count(1)
    identity = Identity(public_key=KEYS[number], instance=instance)
    claimant = Claimant(lambda: identity, lambda: f"{number}-{instance}-{next(nonces)}")
    return claimant.claim(track, replace(RECORDS[number], instance=instance), starting=starting)


def holder(track: RaceTrack) -> str:
    return decode_record(SUBNET_KEY, track.bucket.live[SUBNET_KEY]).name


def test_who_loses_a_race_is_told_who_won_it() -> None:
    track = RaceTrack()
    won, lost = track.run([claiming(track, 0), claiming(track, 1)], [])
    assert won == 1
    assert isinstance(lost, AddressInUseError)
    assert "node-0" in str(lost)


def test_of_two_copies_of_a_machine_that_start_at_once_the_later_has_the_subnet() -> None:
    track = RaceTrack()
    assert track.run([claiming(track, 0, "one"), claiming(track, 0, "other")], []) == [1, 2]
    [earlier] = track.run([claiming(track, 0, "one", starting=False)], [])
    assert isinstance(earlier, ClonedError)


def test_a_record_that_another_writes_during_our_withdrawal_stays() -> None:
    track = RaceTrack()
    track.bucket.write(SUBNET_KEY, encode_record(RECORDS[0]))
    withdrawal = Claimant(lambda: Identity(public_key=KEYS[0], instance="run"), str).withdraw(track, SUBNET_KEY)
    for _ in range(2):
        withdrawal.send(None)  # it has read the record, and is about to delete it
    track.bucket.write(SUBNET_KEY, encode_record(RECORDS[1]))
    assert track.run([withdrawal], []) == [False]
    assert holder(track) == "node-1"


@settings(max_examples=500, deadline=None)
@given(st.integers(2, 3), FATES, SCHEDULES, st.booleans())
def test_of_those_who_race_one_at_most_has_the_subnet_and_the_record_says_so(
    nodes: int, fates: list[str], schedule: list[int], deleted_before: bool
) -> None:
    track = RaceTrack(fates)
    if deleted_before:
        track.bucket.write(SUBNET_KEY, encode_record(RECORDS[0]))
        track.bucket.write(SUBNET_KEY, None)
    outcomes = track.run([claiming(track, number) for number in range(nodes)], [min(step, nodes) for step in schedule])
    owners = [f"node-{number}" for number, outcome in enumerate(outcomes) if isinstance(outcome, int)]
    assert len(owners) <= 1
    assert owners in ([], [holder(track)])
    assert owners or any(fate != "answered" for fate in fates)
