"""Machines, the bucket, and the messages between them; every step of any of them is one of the explorer's."""

from collections.abc import Iterator
from enum import Enum
from itertools import chain
from typing import NamedTuple, TypeVar

import msgspec

from ikto_core.disk.state_file import SavedState
from ikto_core.errors import NatsError, RevisionConflictError, WriteUnknownError
from tests.claim_model.events import Answer, Happening, Hear, Look, Phase, Spec, Start
from tests.claim_model.kv import Get, Kv, Put
from tests.claim_model.state_tree import StateTree

T = TypeVar("T")


class Fault(Enum):
    """What may go wrong; each time it does is one fault of the budget."""

    LOSE = "a request or its answer is lost"
    DELAY = "a write is thought lost and arrives later, at any time"
    CRASH = "an agent is killed"
    RECONNECT = "a session ends and a new one begins"
    ROLLBACK = "the bucket loses its latest writes, whatever it answered"
    EVICT = "an operator deletes a record"


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes part, and what may go wrong."""

    name: str
    machines: tuple[Spec, ...]
    faults: frozenset[Fault] = frozenset(Fault)
    budget: int = 1
    before: tuple[str, ...] = ()  # steps taken beforehand, by name; after each, the world comes to rest


class State(NamedTuple):
    """The whole world at a moment. States with the same past of every part are equal."""

    kv: Kv
    courses: tuple[StateTree, ...]
    answers: tuple[Answer | None, ...]  # on the way to each machine
    adrift: tuple[Put, ...]  # writes on the way to the bucket that their writers have given up
    budget: int  # faults that may still happen


class Step(NamedTuple):
    """What may happen next, and what the world is then."""

    name: str
    state: State
    trespass: str = ""  # whose record was overwritten or deleted; empty: nobody's


def beginning(scenario: Scenario) -> State:
    """Return the world before anything but the scenario's own beginning has happened."""
    count = len(scenario.machines)
    state = State(Kv(), tuple(StateTree(spec) for spec in scenario.machines), (None,) * count, (), scenario.budget)
    for name in scenario.before:
        state = next(step.state for step in chain(starts(state), faults(state, frozenset(Fault))) if step.name == name)
        while flowing := list(flow(state)):
            state = flowing[0].state
    return state


def choices(state: State, scenario: Scenario) -> Iterator[Step]:
    """Yield what may happen next, but does not happen by itself."""
    yield from starts(state)
    if state.budget:
        for step in faults(state, scenario.faults):
            yield step._replace(state=step.state._replace(budget=state.budget - 1))


def flow(state: State) -> Iterator[Step]:
    """Yield what happens by itself; when there is nothing, the world is quiet."""
    for number, progress in enumerate(state.courses):
        look, name = progress.look, progress.spec.name
        if look.phase is Phase.ON and look.heard is not state.kv:
            yield Step(f"{name} hears of the bucket", _moved(state, number, Hear(state.kv)))
        if look.request:
            yield _answered(state, number) if state.answers[number] else _arrived(state, number, look.request)
        if look.sleeping:
            yield Step(f"{name} wakes", _moved(state, number, Happening.WAKE))
        if look.phase is Phase.REDIALLING:
            yield Step(f"{name} dials again", _moved(state, number, Happening.RECONNECT))
    for put in state.adrift:
        kv, _ = execute(state.kv, put)
        adrift = tuple(other for other in state.adrift if other is not put)
        yield Step(
            f"a late write of {describe(put)} arrives", state._replace(kv=kv, adrift=adrift), trespass(state.kv, put)
        )


def starts(state: State) -> Iterator[Step]:
    """Yield the starts of agents that are not running; whether one is started is nobody's promise."""
    for number, progress in enumerate(state.courses):
        if progress.look.phase is Phase.OFF:
            image_of = progress.spec.image_of if progress.look.run == 0 else None
            disk = None if image_of is None else state.courses[image_of].look.disk
            disk = SavedState() if progress.spec.forgetful else disk
            yield Step(f"{progress.spec.name} starts", _moved(state, number, Start(disk)))


def faults(state: State, allowed: frozenset[Fault]) -> Iterator[Step]:
    """Yield what may go wrong now."""
    for number in range(len(state.courses)):
        yield from (step for fault, step in _faults_of_machine(state, number) if fault in allowed)
    if Fault.ROLLBACK in allowed:
        for writes in range(1, state.kv.revision + 1):
            yield Step(f"the bucket loses {writes} writes", state._replace(kv=state.kv.rolled_back(writes)))
    if Fault.EVICT in allowed:
        for key, record in state.kv.records().items():
            yield Step(f"{record.name}'s record is deleted", state._replace(kv=state.kv.written(key, None)))


def _faults_of_machine(state: State, number: int) -> Iterator[tuple[Fault, Step]]:
    progress = state.courses[number]
    name, request, phase = progress.spec.name, progress.look.request, progress.look.phase
    if request:
        yield Fault.LOSE, Step(f"what {name} waits for is lost", _unanswered(state, number, request))
    if isinstance(request, Put) and not state.answers[number]:
        late = _unanswered(state, number, request)
        yield Fault.DELAY, Step(f"{name}'s write is late", late._replace(adrift=(*state.adrift, request)))
    if phase in (Phase.ON, Phase.REDIALLING):
        yield Fault.CRASH, Step(f"{name} is killed", _moved(state, number, Happening.CRASH))
    if phase is Phase.ON:
        yield Fault.RECONNECT, Step(f"{name} reconnects", _moved(state, number, Happening.RECONNECT))


def execute(kv: Kv, request: Get | Put) -> tuple[Kv, Answer]:
    """Have the leader carry out a request; return the bucket after it, and the answer."""
    if isinstance(request, Get):
        return kv, Answer(kv.entry(request.key), kv.era)
    after = kv.after(request)
    return (after, Answer(after.revision, request.era)) if after else (kv, Answer(RevisionConflictError, request.era))


def trespass(kv: Kv, request: Get | Put) -> str:
    """Say whose record a write takes away, if it is not its writer's own.

    A revision that a rollback gave out twice can't be told from the one that was read: NATS has no better lock.
    """
    if isinstance(request, Get) or request.era != kv.era or kv.after(request) is None:
        return ""
    victim = kv.records().get(request.key)
    return f"{victim.name}'s record" if victim and victim.public_key != request.writer else ""


def describe(request: Get | Put) -> str:
    """Say what a request is, for a trace."""
    verb = "get" if isinstance(request, Get) else "delete" if request.value is None else "put"
    return f"{verb} {request.key[-6:]}"


def _arrived(state: State, number: int, request: Get | Put) -> Step:
    kv, answer = execute(state.kv, request)
    after = state._replace(kv=kv, answers=_with(state.answers, number, answer))
    return Step(f"{state.courses[number].spec.name}: {describe(request)}", after, trespass(state.kv, request))


def _answered(state: State, number: int) -> Step:
    answer = state.answers[number]
    assert answer
    return Step(f"{state.courses[number].spec.name} is answered", _moved(state, number, answer))


def _unanswered(state: State, number: int, request: Get | Put) -> State:
    error: type[NatsError] = NatsError if isinstance(request, Get) else WriteUnknownError
    era = request.era if isinstance(request, Put) else 0
    return _moved(state, number, Answer(error, era))


def _moved(state: State, number: int, event: Answer | Hear | Start | Happening) -> State:
    """Let something happen to a machine. An answer on the way finds nobody any more if it does not wait for it."""
    progress = state.courses[number].after(event)
    waits_still = progress.look.request is not None and not isinstance(event, Answer | Happening)
    answers = state.answers if waits_still else _with(state.answers, number, None)
    return state._replace(courses=_with(state.courses, number, progress), answers=answers)


def _with(items: tuple[T, ...], number: int, item: T) -> tuple[T, ...]:
    return (*items[:number], item, *items[number + 1 :])


def look_at(state: State) -> Iterator[tuple[Spec, Look]]:
    """Yield each machine and how it is."""
    return ((progress.spec, progress.look) for progress in state.courses)
