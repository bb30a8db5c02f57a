"""The rows of a fleet: which phase of which run stands beside which."""

import pytest

from benchmarks.findings import row
from benchmarks.fleet.phase import Notice, Phase
from benchmarks.fleet.servers import ServerReading
from benchmarks.fleet_rows import AGENTS, SUBSCRIBERS, WATCHERS, findings


def a_phase(name: str, seconds: float, **counts: int) -> Phase:
    used = ServerReading(cpu_s=seconds / 10, rss=0, in_bytes=0, out_bytes=int(seconds * 100))
    seen = Notice(writes=1, p50=0.0, p99=0.0, max=seconds, last_p50=seconds, last_p99=seconds)
    return Phase(phase=name, wall_s=seconds, nodes_cpu_s=seconds, nodes_rss=0, server=used, counts=counts, notice=seen)


def test_each_figure_of_the_agents_is_beside_the_same_of_its_reference() -> None:
    names = ("cold", "idle", "one put", "rate", "restart")
    phases = {
        AGENTS: {name: a_phase(name, 6.0) for name in names},
        WATCHERS: {name: a_phase(name, 2.0) for name in names},
        SUBSCRIBERS: {name: a_phase(name, 1.0) for name in names},
    }
    ratios = {
        found.name: row(found, measure="fleet", machine="m1", date="2026-11-28").ratio
        for found in findings(100, phases)
    }
    assert ratios == pytest.approx(
        {
            "fleet/cold/clock/100": 3.0,
            "fleet/cold/processor/100": 3.0,
            "fleet/idle/cores/100": 1.0,
            "fleet/one-put/last/100": 6.0,
            "fleet/rate/last/100": 6.0,
            "fleet/restart/clock/100": 3.0,
            "fleet/restart/sent/100": 3.0,
        }
    )


def test_a_phase_that_did_not_run_has_no_row_and_churn_counts_what_all_devices_wrote() -> None:
    churn = a_phase("churn", 1.0, peers_created=300, peers_removed=300, peers_changed=5, applies=900)
    (found,) = findings(300, {AGENTS: {"churn": churn, "cold": churn}, WATCHERS: {}, SUBSCRIBERS: {}})
    assert (found.ikto, found.reference) == (605, 2 * 3 * 300)
