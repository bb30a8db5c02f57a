"""The model of a fleet: what it says follows from the unit costs, and from a queue."""

import math

import msgspec
import pytest

from benchmarks.fleet.model import Costs, cold_on_one_host, costs_of, forecast, on_one_host, simulated
from benchmarks.fleet.phase import Notice, Phase
from benchmarks.fleet.servers import ServerReading

COSTS = Costs(
    push_s=20e-6,
    notice_s=300e-6,
    server_idle_s=10e-6,
    agent_idle_s=50e-6,
    join_s=0.004,
    start_s=0.02,
    first_record_s=100e-6,
    push_bytes=500.0,
    node_rss=100_000.0,
    record_rss=2_500.0,
)
NOTICE = Notice(writes=70, p50=0, p99=0, max=0, last_p50=0, last_p99=0)


def phase(name: str, agents_s: float, server_s: float, *, wall_s: float = 10.0, writes: int = 0, had: int = 0) -> Phase:
    """Return a measured phase of a hundred nodes."""
    return Phase(
        phase=name,
        wall_s=wall_s,
        nodes_cpu_s=agents_s,
        nodes_rss=50_000_000 + int(COSTS.record_rss * 100 * (100 + had + writes)),
        server=ServerReading(
            cpu_s=server_s,
            rss=20_000_000 + int(COSTS.node_rss * 100),
            rss_before=20_000_000,
            out_bytes=int(500 * 100 * writes),
        ),
        counts={},
        notice=msgspec.structs.replace(NOTICE, writes=writes) if writes else None,
    )


def test_the_costs_of_a_fleet_are_found_in_what_it_measured() -> None:
    idle = on_one_host(COSTS, 100, 0, 20)
    measured = {
        "cold": phase("cold", *cold_on_one_host(COSTS, 100)),
        "idle": phase("idle", *idle, wall_s=20),
        "one put": phase("one put", *on_one_host(COSTS, 100, 20, 10), writes=20),
        "rate": phase("rate", *on_one_host(COSTS, 100, 70, 10), writes=70, had=20),
    }
    found = msgspec.structs.asdict(costs_of(measured, 100, phase("cold", *cold_on_one_host(COSTS, 10)), 10))
    assert found == pytest.approx(msgspec.structs.asdict(COSTS))


def test_a_single_write_reaches_the_last_node_after_all_copies() -> None:
    notice = simulated(10_000, 20e-6, 0.001, puts_per_s=0.001, seconds=100_000)
    assert notice.last_p50 == pytest.approx(10_000 * 20e-6 + 0.001)
    assert notice.p50 == pytest.approx(notice.last_p50 / 2, rel=0.02)


def test_writes_wait_for_each_other_the_longer_the_busier_the_server_is() -> None:
    last = [simulated(10_000, 20e-6, 0.0, puts_per_s=rate, seconds=5_000).last_p99 for rate in (0.5, 2.0, 4.0)]
    assert last == sorted(last)
    assert last[2] > 4 * last[0]


def test_the_wait_is_that_of_queueing_theory() -> None:
    """M/D/1, for waits shorter than the service time D: P(wait <= t) = (1 - busy) * exp(rate * t) (Erlang, 1909)."""
    notice = simulated(1, 1.0, 0.0, puts_per_s=0.6, seconds=100_000)
    assert notice.last_p50 == pytest.approx(1 + math.log(0.5 / (1 - 0.6)) / 0.6, rel=0.05)
    assert forecast(COSTS, 25_000, puts_per_s=1.0).busy == pytest.approx(0.5)


def test_more_servers_share_the_copies() -> None:
    one, ten = (forecast(COSTS, 100_000, puts_per_s=0.1, servers=servers) for servers in (1, 10))
    assert ten.most_puts_per_s == pytest.approx(10 * one.most_puts_per_s)
    assert ten.notice.last_p50 < one.notice.last_p50 / 5
    assert ten.agent_rss == one.agent_rss
