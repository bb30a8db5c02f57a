"""Going through every state of a scenario, the nearest first, so that the first trace found is a shortest one."""

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from tests.claim_model.invariants import always_broken, quietly_broken
from tests.claim_model.world import Scenario, State, Step, beginning, choices, flow


class Findings(msgspec.Struct):
    """What an exploration has seen."""

    states: int = 0
    quiet: int = 0  # of these, the ones in which nothing more happens by itself
    complete: bool = False  # there are no more
    broken: str = ""  # the promise that does not hold; empty: all do
    trace: tuple[str, ...] = ()  # the steps that break it


Origins = dict[State, tuple[State, str] | None]


def explore(scenario: Scenario, most_states: int) -> Findings:
    """Visit the states that can be reached, the nearest so many or all, until one breaks a promise."""
    start = beginning(scenario)
    origins: Origins = {start: None}
    findings = Findings()
    waiting = deque([start])
    resting: list[State] = []
    causes: dict[State, list[State]] = {}  # whence a state comes by itself
    while waiting and findings.states < most_states:
        state = waiting.popleft()
        findings.states += 1
        flowing = list(flow(state))
        resting += [] if flowing else [state]
        for step in flowing:
            causes.setdefault(step.state, []).append(state)
        ways = [*flowing, *choices(state, scenario)]
        for broken in _broken(state, scenario, ways, quiet=not flowing):
            return msgspec.structs.replace(findings, broken=broken, trace=_trace(state, origins))
        fresh = {step.state: (state, step.name) for step in ways if step.state not in origins}
        origins |= fresh
        waiting += fresh
    findings.quiet, findings.complete = len(resting), not waiting
    restless = origins.keys() - _leading_to(resting, causes) if findings.complete else ()
    for state in restless:
        return msgspec.structs.replace(findings, broken="they come to rest: never", trace=_trace(state, origins))
    return findings


def _leading_to(resting: list[State], causes: dict[State, list[State]]) -> set[State]:
    """Return the states from which the world may come to rest by itself."""
    found, waiting = set(resting), list(resting)
    while waiting:
        fresh = [cause for cause in causes.get(waiting.pop(), ()) if cause not in found]
        found.update(fresh)
        waiting.extend(fresh)
    return found


def _broken(state: State, scenario: Scenario, ways: Iterable[Step], *, quiet: bool) -> Iterator[str]:
    yield from (f"nobody overwrites another's record: {s.name}: {s.trespass}" for s in ways if s.trespass)
    yield from always_broken(state, scenario)
    if quiet:
        yield from quietly_broken(state, scenario)


def _trace(state: State, origins: Origins) -> tuple[str, ...]:
    names: list[str] = []
    while origin := origins[state]:
        state, name = origin
        names.append(name)
    return tuple(reversed(names))
