"""Visits the states of a scenario, the nearest first: the first trace that breaks a promise is a shortest one."""

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from tests.claim_model.invariants import broken_invariants, broken_when_quiet
from tests.claim_model.world import Scenario, State, Step, initial_state, optional_steps, spontaneous_steps


class Findings(msgspec.Struct):
    """The result of an exploration."""

    states: int = 0
    quiet: int = 0  # how many of them have no spontaneous step
    complete: bool = False  # all reachable states were visited
    broken: str = ""  # the broken promise; empty: all hold
    trace: tuple[str, ...] = ()  # the steps that lead there


Origins = dict[State, tuple[State, str] | None]


def explore(scenario: Scenario, most_states: int) -> Findings:
    """Visit the reachable states, at most the nearest `most_states`, until one breaks a promise."""
    start = initial_state(scenario)
    origins: Origins = {start: None}
    findings = Findings()
    waiting = deque([start])
    resting: list[State] = []
    causes: dict[State, list[State]] = {}  # the states from which a spontaneous step leads to a state
    while waiting and findings.states < most_states:
        state = waiting.popleft()
        findings.states += 1
        spontaneous = list(spontaneous_steps(state))
        resting += [] if spontaneous else [state]
        for step in spontaneous:
            causes.setdefault(step.state, []).append(state)
        steps = [*spontaneous, *optional_steps(state, scenario)]
        for broken in _broken(state, scenario, steps, quiet=not spontaneous):
            return msgspec.structs.replace(findings, broken=broken, trace=_trace(state, origins))
        fresh = {step.state: (state, step.name) for step in steps if step.state not in origins}
        origins |= fresh
        waiting += fresh
    findings.quiet, findings.complete = len(resting), not waiting
    restless = origins.keys() - _leading_to(resting, causes) if findings.complete else ()
    for state in restless:
        return msgspec.structs.replace(findings, broken="the nodes come to rest: never", trace=_trace(state, origins))
    return findings


def _leading_to(resting: list[State], causes: dict[State, list[State]]) -> set[State]:
    """Return the states from which spontaneous steps may lead to one of `resting`."""
    found, waiting = set(resting), list(resting)
    while waiting:
        fresh = [cause for cause in causes.get(waiting.pop(), ()) if cause not in found]
        found.update(fresh)
        waiting.extend(fresh)
    return found


def _broken(state: State, scenario: Scenario, steps: Iterable[Step], *, quiet: bool) -> Iterator[str]:
    yield from (f"no node overwrites another's record: {s.name}: {s.victim}" for s in steps if s.victim)
    yield from broken_invariants(state, scenario)
    if quiet:
        yield from broken_when_quiet(state, scenario)


def _trace(state: State, origins: Origins) -> tuple[str, ...]:
    names: list[str] = []
    while origin := origins[state]:
        state, name = origin
        names.append(name)
    return tuple(reversed(names))
