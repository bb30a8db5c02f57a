"""`python -m benchmarks.first_contact`: first answers and interruptions, beside bare WireGuard that is set up by hand.

Hosts in network namespaces, wireguard-go on both sides, a question every 20 ms. The last line of its output is the
findings as JSON.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median

import msgspec

from benchmarks import bare_wireguard as by_hand
from benchmarks.bare_wireguard import BareNode, bare_join, bare_nodes, connect
from benchmarks.report import Finding
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
TARGETS = {0: "0.2 / 0.6 s", 40: "0.3 / 0.8 s", 200: "0.9 / 1.5 s"}
NOTE = """\
- 0, 40 and 200 ms: round trips between hosts in network namespaces, wireguard-go, a question every 20 ms. The
  reference is set up by hand with `wg`. First answers are median / worst, from when both records are in the bucket,
  or both devices have the other as a peer; the ratio is that of the medians. A gap is the longest time without an
  answer, a round trip at least; "after": once the device has its address, or the host its new one. The node only
  answers, so that its own packets do not end the gap (docs/first-contact.md)."""

Ours = Callable[[HostedNode, Sequence[HostedNode]], float]
Theirs = Callable[[BareNode], float]

_EVENTS: Sequence[tuple[Ours, Theirs | None, str, str]] = [  # Ikto's event, the same by hand, which time, target
    (restart, None, "gap_s", "about 0"),
    (kill, None, "gap_s", "about 0"),
    (reboot, by_hand.make_again, "after_s", "< 0.5 s"),
    (delete_device, by_hand.make_again, "after_s", "< 0.5 s"),
    (renumber, by_hand.renumber, "after_s", "< 0.5 s"),
    (rotate_key, by_hand.change_key, "gap_s", "about 0"),
]


def measure() -> Iterator[Finding]:
    """Measure at each round trip."""
    for round_trip_ms in ROUND_TRIPS_MS:
        delay_s = round_trip_ms / 2000
        yield from _joins(round_trip_ms, delay_s)
        yield from _interruptions(round_trip_ms, delay_s)


def _joins(round_trip_ms: int, delay_s: float) -> Iterator[Finding]:
    reference = [time for _ in range(BARE_RUNS) for time in _bare_join(delay_s)]
    for nodes, joining, runs in ((3, 1, RUNS), (5, 3, 2)):
        ours = [time for _ in range(runs) for time in _join(nodes, joining, delay_s)]
        what = f"{joining} joins {nodes - joining}" if joining == 1 else f"{joining} join {nodes - joining} at once"
        yield Finding(
            what=f"{round_trip_ms} ms: first answer, {what}, traffic both ways",
            ikto=_median_worst(ours),
            reference=f"by hand, 1 joins 2: {_median_worst(reference)}",
            ratio=median(ours) / median(reference),
            target=TARGETS[round_trip_ms],
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
            name = f"{round_trip_ms} ms: {event.__name__.replace('_', ' ')}"
            yield _finding(name, cost, _cost_by_hand(bare_event, bare), time, target)


def _cost_by_hand(event: Theirs | None, nodes: Sequence[BareNode]) -> Interruption | None:
    if event is None:
        return None
    node, peer, _ = nodes
    return interruption((node.host, node.address), (peer.host, peer.address), partial(event, node))


def _finding(name: str, cost: Interruption, reference: Interruption | None, time: str, target: str) -> Finding:
    ours, theirs = getattr(cost, time), getattr(reference, time) if reference else None
    return Finding(
        what=f"{name}: {'gap' if time == 'gap_s' else 'gap after'}",
        ikto=f"{ours:.2f} s, {cost.lost} lost",
        reference=f"by hand: {theirs:.2f} s, {reference.lost} lost" if reference else "",
        ratio=ours / theirs if theirs else None,
        target=target,
    )


def _median_worst(times: Sequence[float]) -> str:
    """Return both; a time of the longest patience means that no answer came."""
    return f"{_seconds(median(times))} / {_seconds(max(times))} s"


def _seconds(time_s: float) -> str:
    return f"> {time_s:.0f}" if time_s in {PATIENCE_S, by_hand.PATIENCE_S} else f"{time_s:.2f}"


def main() -> None:
    """Measure, and print the findings as one line of JSON."""
    findings = []
    for finding in measure():
        findings.append(finding)
        sys.stderr.write(f"{finding.what}: {finding.ikto} ({finding.reference})\n")
    sys.stdout.write(msgspec.json.encode(findings).decode() + "\n")


if __name__ == "__main__":
    main()
