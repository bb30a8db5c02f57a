"""Rows of a fleet of agents on one server, beside as many `kv.watch` and bare subscribers (benchmarks/fleet)."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks.findings import Finding, Target, Unit, at_most_times
from benchmarks.fleet.course import Setting, run_fleet
from benchmarks.fleet.phase import Phase
from benchmarks.measures import Bench, Measure

WRITES = ("peers_created", "peers_changed", "peers_removed")
AGENTS, WATCHERS, SUBSCRIBERS = "agents", "kv.watch", "subscribers"

Phases = Mapping[str, Phase]


async def _measure(bench: Bench) -> Sequence[Finding]:
    nodes = bench.pick(300, 20)
    phases = {}
    for kind in (AGENTS, WATCHERS, SUBSCRIBERS):
        run = await run_fleet(_setting(kind, nodes, bench), bench.directory / kind.replace(".", ""))
        phases[kind] = {phase.phase: phase for phase in run.phases}
    return list(findings(nodes, phases))


def _setting(kind: str, nodes: int, bench: Bench) -> Setting:
    left_out = (
        {"warm"} | ({"idle", "churn"} if kind == SUBSCRIBERS else set()) | ({"restart"} if bench.quick else set())
    )
    return Setting(
        kind=kind,
        nodes=nodes,
        puts=bench.pick(20, 5),
        rate_s=bench.pick(15, 3),
        idle_s=bench.pick(40, 4),
        left_out=tuple(left_out | {"restart"} if bench.quick else left_out),
    )


def findings(nodes: int, phases: Mapping[str, Phases]) -> Iterator[Finding]:
    """Yield the rows of one run of each kind, given its phases by name. A phase that did not run has no row."""
    twice, once = at_most_times(2), at_most_times(1)
    row = _Rows(nodes, phases)
    yield from row.beside(WATCHERS, "cold", "cold start to converged", _clock, target=twice)
    yield from row.beside(WATCHERS, "cold", "cold start to converged: processor time of all", _processor, target=twice)
    yield from row.beside(WATCHERS, "idle", "idle: server's processor time", _cores, unit="cores", target=once)
    yield from row.beside(SUBSCRIBERS, "one put", "single puts: until the last has it, median", _last, target=twice)
    yield from row.beside(SUBSCRIBERS, "rate", "7 puts a second: until the last has it, median", _last, target=twice)
    yield from row.beside(WATCHERS, "restart", "server restarted: until all have the next record", _clock)
    yield from row.beside(WATCHERS, "restart", "server restarted: bytes from the server", _sent, unit="B")
    if churn := phases[AGENTS].get("churn"):
        yield Finding(
            name=f"fleet/churn/writes/{nodes}",
            what=f"{nodes} agents, 1 % churn: peers written to all devices",
            unit="count",
            ikto=sum(churn.counts.get(name, 0) for name in WRITES),
            reference=2 * max(nodes // 100, 1) * nodes,
            beside="changes",
            target=once,
        )


class _Rows:
    """Rows of agents beside another kind of follower."""

    def __init__(self, nodes: int, phases: Mapping[str, Phases]) -> None:
        self._nodes = nodes
        self._phases = phases

    def beside(
        self,
        kind: str,
        phase: str,
        what: str,
        figure: Callable[[Phase], float],
        *,
        unit: Unit = "s",
        target: Target | None = None,
    ) -> Iterator[Finding]:
        """Yield the row of one figure of one phase."""
        ours, theirs = self._phases[AGENTS].get(phase), self._phases[kind].get(phase)
        if ours and theirs:
            yield Finding(
                name=f"fleet/{phase.replace(' ', '-')}/{figure.__name__.strip('_')}/{self._nodes}",
                what=f"{self._nodes} agents, {what}",
                unit=unit,
                ikto=figure(ours),
                reference=figure(theirs),
                beside=f"{self._nodes} {kind}",
                target=target,
            )


def _clock(phase: Phase) -> float:
    return phase.wall_s


def _processor(phase: Phase) -> float:
    return phase.nodes_cpu_s + phase.server.cpu_s


def _cores(phase: Phase) -> float:
    return phase.server.cpu_s / phase.wall_s


def _last(phase: Phase) -> float:
    assert phase.notice
    return phase.notice.last_p50


def _sent(phase: Phase) -> float:
    return phase.server.out_bytes


MEASURES = (Measure("fleet", "fleet", _measure, timeout_s=900),)
