"""The machines, the bucket and the messages between them; the explorer chooses every step."""

from collections.abc import Iterator
from enum import Enum
from itertools import chain
from typing import NamedTuple, TypeVar

import msgspec

from ikto_core.agent.from_config import local_node
from ikto_core.config import Config
from ikto_core.disk.state_file import SavedState
from ikto_core.errors import NatsError, RevisionConflictError, WriteUnknownError
from ikto_core.mesh.proofs import signed_value
from ikto_core.mesh.records import PeerRecord, encode_record
from tests.claim_model.events import KEYS, Answer, FollowerRead, MachineView, Phase, PlainEvent, Spec, Start
from tests.claim_model.kv import Get, Kv, Put
from tests.claim_model.state_tree import StateTree

T = TypeVar("T")
HOSTILE = KEYS[3]
BUCKET = local_node(Config(private_address="10.0.0.17", mesh_cidr="10.0.0.0/26", subnet_prefix=28)).bucket


class Fault(Enum):
    """What may go wrong; each occurrence costs one of the scenario's budget."""

    LOSE = "a request or its answer is lost"
    DELAY = "a write is given up and arrives at any later time"
    CRASH = "an agent is killed"
    RECONNECT = "a session ends and a new one begins"
    ROLLBACK = "the bucket loses its latest writes, although it confirmed them"
    EVICT = "an operator deletes a record"
    ROB = "a hostile node writes a record of its own over another's"
    FORGE = "a hostile node writes an unsigned record with the key of its victim"


HOSTILE_FAULTS = frozenset({Fault.ROB, Fault.FORGE})
HONEST = frozenset(Fault) - HOSTILE_FAULTS


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """Which machines take part, and what may go wrong."""

    name: str
    machines: tuple[Spec, ...]
    faults: frozenset[Fault] = HONEST
    budget: int = 1
    before: tuple[str, ...] = ()  # names of the steps taken first; after each, the nodes come to rest


class State(NamedTuple):
    """The state of everything at a moment. States whose parts have equal histories are equal."""

    kv: Kv
    trees: tuple[StateTree, ...]
    answers: tuple[Answer | None, ...]  # in flight to each machine
    late_writes: tuple[Put, ...]  # in flight to the bucket, given up by their writers
    budget: int  # faults that may still happen


class Step(NamedTuple):
    """A possible next step, and the state after it."""

    name: str
    state: State
    victim: str = ""  # whose record was overwritten or deleted; empty: no other node's


def initial_state(scenario: Scenario) -> State:
    """Return the state after the scenario's `before` steps."""
    count = len(scenario.machines)
    state = State(Kv(), tuple(StateTree(spec) for spec in scenario.machines), (None,) * count, (), scenario.budget)
    for name in scenario.before:
        state = next(step.state for step in chain(starts(state), faults(state, HONEST)) if step.name == name)
        while spontaneous := list(spontaneous_steps(state)):
            state = spontaneous[0].state
    return state


def optional_steps(state: State, scenario: Scenario) -> Iterator[Step]:
    """Yield the steps that may happen or not: starts, and faults while the budget lasts."""
    yield from starts(state)
    if state.budget:
        for step in faults(state, scenario.faults):
            yield step._replace(state=step.state._replace(budget=state.budget - 1))


def spontaneous_steps(state: State) -> Iterator[Step]:
    """Yield the steps that happen sooner or later; a state without any is quiet."""
    for number, tree in enumerate(state.trees):
        view, name = tree.view, tree.spec.name
        if view.phase is Phase.ON and view.followed is not state.kv:
            yield Step(f"{name} reads the bucket", _after_event(state, number, FollowerRead(state.kv)))
        if view.request:
            yield _answered(state, number) if state.answers[number] else _arrived(state, number, view.request)
        if view.sleeping:
            yield Step(f"{name} wakes", _after_event(state, number, PlainEvent.WAKE))
        if view.phase is Phase.REDIALLING:
            yield Step(f"{name} dials again", _after_event(state, number, PlainEvent.RECONNECT))
    for put in state.late_writes:
        kv, _ = execute(state.kv, put)
        late_writes = tuple(other for other in state.late_writes if other is not put)
        yield Step(
            f"a late write of {describe(put)} arrives",
            state._replace(kv=kv, late_writes=late_writes),
            victim_of(state.kv, put),
        )


def starts(state: State) -> Iterator[Step]:
    """Yield the starts of agents that do not run; none is promised."""
    for number, tree in enumerate(state.trees):
        if tree.view.phase is Phase.OFF:
            copied_from = tree.spec.copied_from if tree.view.run == 0 else None
            disk = None if copied_from is None else state.trees[copied_from].view.disk
            disk = SavedState() if tree.spec.loses_disk else disk
            yield Step(f"{tree.spec.name} starts", _after_event(state, number, Start(disk)))


def faults(state: State, allowed: frozenset[Fault]) -> Iterator[Step]:
    """Yield the faults that may happen now."""
    for number in range(len(state.trees)):
        yield from (step for fault, step in _faults_of_machine(state, number) if fault in allowed)
    if Fault.ROLLBACK in allowed:
        for writes in range(1, state.kv.revision + 1):
            yield Step(f"the bucket loses {writes} writes", state._replace(kv=state.kv.rolled_back(writes)))
    for fault in (Fault.EVICT, Fault.ROB, Fault.FORGE):
        if fault in allowed:
            for key, record in state.kv.records().items():
                yield _overwritten(state, key, record, fault)


def _overwritten(state: State, key: str, record: PeerRecord, fault: Fault) -> Step:
    """Return the step in which somebody else deletes a record or writes over it."""
    if fault is Fault.EVICT:
        return Step(f"{record.name}'s record is deleted", state._replace(kv=state.kv.written(key, None)))
    if fault is Fault.ROB:
        hostile = msgspec.structs.replace(record, name="hostile", public_key=HOSTILE.public(), serial=10**6)
        value = signed_value(hostile, HOSTILE, BUCKET, bytes(64))
    else:
        value = encode_record(msgspec.structs.replace(record, name="hostile", instance="forged"))
    return Step(
        f"{record.name}'s record is {'robbed' if fault is Fault.ROB else 'forged'}",
        state._replace(kv=state.kv.written(key, value)),
    )


def _faults_of_machine(state: State, number: int) -> Iterator[tuple[Fault, Step]]:
    tree = state.trees[number]
    name, request, phase = tree.spec.name, tree.view.request, tree.view.phase
    if request:
        yield Fault.LOSE, Step(f"{name}'s request or its answer is lost", _unanswered(state, number, request))
    if isinstance(request, Put) and not state.answers[number]:
        late = _unanswered(state, number, request)
        yield Fault.DELAY, Step(f"{name}'s write is late", late._replace(late_writes=(*state.late_writes, request)))
    if phase in (Phase.ON, Phase.REDIALLING):
        yield Fault.CRASH, Step(f"{name} is killed", _after_event(state, number, PlainEvent.CRASH))
    if phase is Phase.ON:
        yield Fault.RECONNECT, Step(f"{name} reconnects", _after_event(state, number, PlainEvent.RECONNECT))


def execute(kv: Kv, request: Get | Put) -> tuple[Kv, Answer]:
    """Have the leader carry out a request; return the bucket after it, and the answer."""
    if isinstance(request, Get):
        return kv, Answer(kv.entry(request.key), kv.era)
    after = kv.after(request)
    return (after, Answer(after.revision, request.era)) if after else (kv, Answer(RevisionConflictError, request.era))


def victim_of(kv: Kv, request: Get | Put) -> str:
    """Return whose record a write overwrites or deletes; empty: only the writer's own, or none.

    A revision that was assigned twice because of a rollback can't be recognised: NATS has no better lock.
    """
    if isinstance(request, Get) or request.era != kv.era or kv.after(request) is None:
        return ""
    victim = kv.records().get(request.key)
    if request.owns and request.value:  # whoever has written it meanwhile has overwritten the writer's own record
        return ""
    return f"{victim.name}'s record" if victim and victim.public_key != request.writer else ""


def describe(request: Get | Put) -> str:
    """Return the text of a request, for a trace."""
    verb = "get" if isinstance(request, Get) else "delete" if request.value is None else "put"
    return f"{verb} {request.key[-6:]}"


def _arrived(state: State, number: int, request: Get | Put) -> Step:
    kv, answer = execute(state.kv, request)
    after = state._replace(kv=kv, answers=_replaced(state.answers, number, answer))
    return Step(f"{state.trees[number].spec.name}: {describe(request)}", after, victim_of(state.kv, request))


def _answered(state: State, number: int) -> Step:
    answer = state.answers[number]
    assert answer
    return Step(f"{state.trees[number].spec.name} is answered", _after_event(state, number, answer))


def _unanswered(state: State, number: int, request: Get | Put) -> State:
    error: type[NatsError] = NatsError if isinstance(request, Get) else WriteUnknownError
    era = request.era if isinstance(request, Put) else 0
    return _after_event(state, number, Answer(error, era))


def _after_event(state: State, number: int, event: Answer | FollowerRead | Start | PlainEvent) -> State:
    """Return the state after an event of a machine; an answer that it no longer waits for is dropped."""
    tree = state.trees[number].after(event)
    still_waits = tree.view.request is not None and not isinstance(event, Answer | PlainEvent)
    answers = state.answers if still_waits else _replaced(state.answers, number, None)
    return state._replace(trees=_replaced(state.trees, number, tree), answers=answers)


def _replaced(items: tuple[T, ...], number: int, item: T) -> tuple[T, ...]:
    return (*items[:number], item, *items[number + 1 :])


def machine_views(state: State) -> Iterator[tuple[Spec, MachineView]]:
    """Yield each machine's specification and state."""
    return ((tree.spec, tree.view) for tree in state.trees)
