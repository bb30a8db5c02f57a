"""Runs inputs through a target's reading code, and finds the faults: other errors, hangs, and growth."""

import re
import resource
import signal
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import FrameType

from tests.fuzz.mutator import Mutator
from tests.fuzz.target import Check, RefusedError, Target

BATCH_INPUTS = 500
"""The inputs of a batch depend on nothing but seed, target and number of the batch."""

MAX_INPUT_S = 2.0
"""Of processor time, for one input. The largest take some milliseconds."""

MAX_GROWTH_BYTES = 2**26
"""By so much may the memory in use be higher after an input than at any time before."""


class HangError(BaseException):
    """An input took more than MAX_INPUT_S. No `except Exception` of the reading code stops it."""


@dataclass(frozen=True)
class Fault:
    """An input that the reading code does not survive."""

    data: bytes
    reason: str  # one line
    details: str = ""  # traceback

    @property
    def kind(self) -> str:
        """The reason without what differs from input to input."""
        return re.sub(r"'.*'|\".*\"|b'.*'|\d+", "…", self.reason)


@dataclass
class Outcome:
    """What became of some inputs."""

    accepted: int = 0
    refused: int = 0
    faulty: int = 0
    faults: dict[str, Fault] = field(default_factory=dict)  # the first one of each kind

    @property
    def inputs(self) -> int:
        return self.accepted + self.refused + self.faulty

    def note(self, fault: Fault) -> None:
        self.faulty += 1
        self.faults.setdefault(fault.kind, fault)

    def add(self, other: "Outcome") -> None:
        self.accepted += other.accepted
        self.refused += other.refused
        self.faulty += other.faulty
        self.faults = other.faults | self.faults


def inputs_of(target: Target, seed: int, batch: int) -> Iterator[bytes]:
    """Yield the inputs of one batch."""
    mutator = Mutator(target.corpus(), target.tokens, Random(f"{seed} {target.name} {batch}"))
    return (mutator.next() for _ in range(BATCH_INPUTS))


def run(target: Target, check: Check, inputs: Iterable[bytes]) -> Outcome:
    """Give each input to the reading code."""
    outcome = Outcome()
    with _limited_time():
        for data in inputs:
            _run_one(target, check, data, outcome)
    return outcome


def _run_one(target: Target, check: Check, data: bytes, outcome: Outcome) -> None:
    peak = _peak_bytes()
    try:
        signal.setitimer(signal.ITIMER_PROF, MAX_INPUT_S)
        try:
            check(data)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except (Exception, HangError) as error:  # noqa: BLE001 - it is what a fuzzer looks for
        if isinstance(error, (RefusedError, *target.refusals)):
            outcome.refused += 1
        else:
            outcome.note(Fault(data, _reason(error), traceback.format_exc()))
    else:
        outcome.accepted += 1
    if (growth := _peak_bytes() - peak) > MAX_GROWTH_BYTES:
        outcome.note(Fault(data, f"growth: {growth // 2**20} MiB for one input"))


def _reason(error: BaseException) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {where.name}:{where.lineno}: {' '.join(str(error).split())[:200]}"


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _limited_time() -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise HangError(f"more than {MAX_INPUT_S:g} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
