"""First answers and interruptions, beside bare WireGuard that is set up by hand.

Hosts in network namespaces, wireguard-go on both sides, a question every 20 ms.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from shutil import which
from statistics import median

from benchmarks import bare_wireguard as by_hand
from benchmarks.bare_wireguard import BareNode, bare_join, bare_nodes, connect
from benchmarks.findings import Finding, at_most
from benchmarks.measures import Bench, Measure, SkippedError
from benchmarks.samples import Pair, Statistic
from ikto_core.lab.first_contact import PATIENCE_S, Traffic, join, mesh_of, start
from ikto_core.lab.hosted import HostedNode
from ikto_core.lab.interruption import (
    Interruption,
    delete_device,
    interruption,
    kill,
    party,
    reboot,
    renumber,
    restart,
    rotate_key,
)

ROUND_TRIPS_MS = (0, 40, 200)
RUNS, BARE_RUNS = 5, 3
TARGETS_S = {0: (0.2, 0.6), 40: (0.3, 0.8), 200: (0.9, 1.5)}  # of the median and the worst, by round trip in ms
NONE_S = 0.1  # a gap that is longer than a round trip by less than this is none

Ours = Callable[[HostedNode, Sequence[HostedNode]], float]
Theirs = Callable[[BareNode], float]

_EVENTS: Sequence[tuple[Ours, Theirs | None, str, float]] = [  # Ikto's event, the same by hand, which time, target
    (restart, None, "gap_s", NONE_S),
    (kill, None, "gap_s", NONE_S),
    (reboot, by_hand.make_again, "after_s", 0.5),
    (delete_device, by_hand.make_again, "after_s", 0.5),
    (renumber, by_hand.renumber, "after_s", 0.5),
    (rotate_key, by_hand.change_key, "gap_s", NONE_S),
]


def _measure(round_trip_ms: int, bench: Bench) -> Sequence[Finding]:
    if os.geteuid() or which("wireguard-go") is None or which("wg") is None:
        raise SkippedError("it needs root, wg and wireguard-go")
    delay_s = round_trip_ms / 2000
    return [*_joins(round_trip_ms, delay_s, bench), *_interruptions(round_trip_ms, delay_s)]


def _joins(round_trip_ms: int, delay_s: float, bench: Bench) -> Iterator[Finding]:
    reference = [time for _ in range(bench.pick(BARE_RUNS, 1)) for time in _bare_join(delay_s)]
    for nodes, joining, runs in ((3, 1, RUNS), (5, 3, 2)):
        pair = Pair([time for _ in range(bench.pick(runs, 1)) for time in _join(nodes, joining, delay_s)], reference)
        said = f"{joining} joins {nodes - joining}" if joining == 1 else f"{joining} join {nodes - joining} at once"
        statistics: Sequence[tuple[str, Statistic]] = [("median", median), ("worst", max)]
        for (name, statistic), target in zip(statistics, TARGETS_S[round_trip_ms], strict=True):
            yield pair.finding(
                f"first-answer/{round_trip_ms}ms/{joining}-joining/{name}",
                f"{round_trip_ms} ms: first answer, {said}, traffic both ways, {name}",
                beside="by hand, 1 joins 2",
                statistic=statistic,
                target=at_most(target),
            )


def _join(nodes: int, joining: int, delay_s: float) -> Sequence[float]:
    with mesh_of(nodes, delay_s=delay_s) as mesh:
        others, new = mesh.nodes[:-joining], mesh.nodes[-joining:]
        start(others)
        answers = [answer.after_s for answer in join(mesh, others, new, Traffic.BOTH)]
        return [PATIENCE_S if after_s is None else after_s for after_s in answers]


def _bare_join(delay_s: float) -> Sequence[float]:
    with bare_nodes(3, delay_s) as nodes:
        return [by_hand.PATIENCE_S if after_s is None else after_s for after_s in bare_join(nodes)]


def _interruptions(round_trip_ms: int, delay_s: float) -> Iterator[Finding]:
    with mesh_of(3, delay_s=delay_s) as mesh, bare_nodes(3, delay_s) as bare:
        start(mesh.nodes)
        connect(bare)
        node, *others = mesh.nodes
        for event, bare_event, time, target in _EVENTS:
            cost = interruption(party(node), party(others[0]), partial(event, node, others))
            short = f"{event.__name__.replace('_', '-')}/{round_trip_ms}ms"
            what = f"{round_trip_ms} ms: {event.__name__.replace('_', ' ')}"
            limit_s = target + delay_s * 2 if time == "gap_s" else target
            pair = cost, _cost_by_hand(bare_event, bare)
            yield _time(short, what, pair, time, limit_s)
            yield _lost(short, what, pair)


def _cost_by_hand(event: Theirs | None, nodes: Sequence[BareNode]) -> Interruption | None:
    if event is None:
        return None
    node, peer, _ = nodes
    return interruption((node.host, node.address), (peer.host, peer.address), partial(event, node))


def _time(short: str, what: str, pair: tuple[Interruption, Interruption | None], time: str, target: float) -> Finding:
    ikto, reference = pair
    return Finding(
        name=f"{short}/gap",
        what=f"{what}: {'gap' if time == 'gap_s' else 'gap after'}",
        unit="s",
        ikto=getattr(ikto, time),
        reference=getattr(reference, time) if reference else None,
        beside="by hand" if reference else "",
        target=at_most(target),
    )


def _lost(short: str, what: str, pair: tuple[Interruption, Interruption | None]) -> Finding:
    ikto, reference = pair
    return Finding(
        name=f"{short}/lost",
        what=f"{what}: questions without an answer",
        unit="count",
        ikto=ikto.lost,
        reference=reference.lost if reference else None,
        beside="by hand" if reference else "",
    )


MEASURES = tuple(
    Measure(
        f"first-contact-{round_trip_ms}ms",
        "first-contact",
        partial(_measure, round_trip_ms),
        quick=False,
        timeout_s=1200,
    )
    for round_trip_ms in ROUND_TRIPS_MS
)
