"""What a fleet of any size costs, from the costs that one fleet has measured. Pure.

A write is copied to every node, one after the other: the server is a queue whose service time grows with the nodes.
The simulation sends writes through that queue; all else is unit costs times numbers.
"""

from collections.abc import Mapping, Sequence
from random import Random

import msgspec

from benchmarks.fleet.phase import Notice, Phase, notice_of

SHOWN_NODES = 400
"""Of so many nodes the delay of a write is computed, evenly spread from the first copy to the last."""


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Unit costs: processor time in seconds, sizes in bytes."""

    push_s: float  # of the server, for one copy of one write
    notice_s: float  # of an agent, for one new record, up to its device and all that follows
    server_idle_s: float  # of the server, for one idle node and second
    agent_idle_s: float  # of an idle agent, for one second
    join_s: float  # of the server, for one node that starts, without the copies of its record
    start_s: float  # of an agent that starts, without its records
    first_record_s: float  # of an agent that starts, for each record that it reads or is pushed meanwhile
    push_bytes: float  # to a node, for one write
    node_rss: float  # memory of the server, for one node
    record_rss: float  # memory of an agent, for one more record


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What a fleet costs."""

    nodes: int
    notice: Notice
    busy: float  # share of the time in which the server copies writes; 1 and more: it never catches up
    server_idle_cores: float
    out_bytes_per_s: float
    most_puts_per_s: float  # that the server can copy
    wave_s: float  # until every node has written its record once, as fast as the server copies them
    first_read_s: float  # processor time of one agent that starts with nothing
    server_rss: float
    agent_rss: float  # what one agent needs for its records, beside what it needs without any


def costs_of(phases: Mapping[str, Phase], nodes: int, few_cold: Phase, few: int) -> Costs:
    """Return the unit costs that a fleet of agents has measured.

    Args:
        phases: What it measured, by name.
        nodes: How many agents it has.
        few_cold: The cold start of a smaller fleet, which tells an agent's start from its records.
        few: How many agents that one has.

    """
    cold, idle, rate, single = (phases[name] for name in ("cold", "idle", "rate", "one put"))
    assert rate.notice
    assert single.notice
    copies = nodes * rate.notice.writes
    server_idle_s = idle.server.cpu_s / idle.wall_s / nodes
    agent_idle_s = idle.nodes_cpu_s / idle.wall_s / nodes
    push_s = max(rate.server.cpu_s - server_idle_s * nodes * rate.wall_s, 0) / copies
    notice_s = max(rate.nodes_cpu_s - agent_idle_s * nodes * rate.wall_s, 0) / copies
    start_s = max(few_cold.nodes_cpu_s / few - cold.nodes_cpu_s / nodes * few / nodes, 0) / (1 - few / nodes)
    return Costs(
        push_s=push_s,
        notice_s=notice_s,
        server_idle_s=server_idle_s,
        agent_idle_s=agent_idle_s,
        join_s=max(cold.server.cpu_s - push_s * nodes * nodes, 0) / nodes,
        start_s=start_s,
        first_record_s=(cold.nodes_cpu_s / nodes - start_s) / nodes,
        push_bytes=rate.server.out_bytes / copies,
        node_rss=max(cold.server.rss - cold.server.rss_before, 0) / nodes,
        record_rss=max(rate.nodes_rss - cold.nodes_rss, 0) / (copies + nodes * single.notice.writes),
    )


def forecast(
    costs: Costs, nodes: int, *, puts_per_s: float, servers: int = 1, seconds: float = 600.0, seed: int = 1
) -> Forecast:
    """Return what a fleet costs whose nodes have a host each, and are spread evenly over so many servers."""
    copy_s = costs.push_s * nodes / servers  # each server copies to its own nodes
    return Forecast(
        nodes=nodes,
        notice=simulated(nodes, copy_s / nodes, costs.notice_s, puts_per_s=puts_per_s, seconds=seconds, seed=seed),
        busy=puts_per_s * copy_s,
        server_idle_cores=costs.server_idle_s * nodes / servers,
        out_bytes_per_s=costs.push_bytes * nodes * puts_per_s,
        most_puts_per_s=1 / copy_s,
        wave_s=nodes * copy_s,
        first_read_s=costs.start_s + costs.first_record_s * nodes,
        server_rss=costs.node_rss * nodes / servers,
        agent_rss=costs.record_rss * nodes,
    )


def on_one_host(costs: Costs, nodes: int, writes: int, seconds: float) -> tuple[float, float]:
    """Return the processor time of all agents, and of the server, for writes in a time: as the bench measures them."""
    copies = nodes * writes
    agents_s = costs.notice_s * copies + costs.agent_idle_s * nodes * seconds
    return agents_s, costs.push_s * copies + costs.server_idle_s * nodes * seconds


def cold_on_one_host(costs: Costs, nodes: int) -> tuple[float, float]:
    """Return the processor time of all agents, and of the server, for a cold start of all: as the bench measures it."""
    return costs.start_s * nodes + costs.first_record_s * nodes**2, costs.join_s * nodes + costs.push_s * nodes**2


def simulated(
    nodes: int, copy_s: float, notice_s: float, *, puts_per_s: float, seconds: float, seed: int = 1
) -> Notice:
    """Return the delays of writes at random times, of which the server copies one after the other to all nodes.

    Args:
        nodes: How many nodes there are.
        copy_s: The server's time for one copy.
        notice_s: A node's own time, from a copy to its device.
        puts_per_s: Writes a second, on average.
        seconds: How long writes come.
        seed: Of the random times.

    """
    random, at, free_at = Random(seed), 0.0, 0.0
    places = _places(nodes)
    delays: list[list[float]] = []
    while at < seconds:
        at += random.expovariate(puts_per_s)
        begin = max(at, free_at)
        free_at = begin + nodes * copy_s
        delays.append([begin - at + place * copy_s + notice_s for place in places])
    return notice_of(delays)


def _places(nodes: int) -> Sequence[int]:
    """Return the places in the order of the copies of which the delay is computed, the last one included."""
    shown = min(nodes, SHOWN_NODES)
    return [nodes * (index + 1) // shown for index in range(shown)]
