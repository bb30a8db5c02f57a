"""The fleet bench runs, and counts what it says it counts. Nothing here depends on time."""

from pathlib import Path

import pytest

from benchmarks.fleet.course import Run, Setting, run_fleet
from benchmarks.fleet.phase import Phase, notice_of
from benchmarks.fleet.results import load, save, table
from benchmarks.fleet.servers import ServerReading

NODES = 4
PUTS = 2


def setting(kind: str, **others: object) -> Setting:
    """Return a fleet that takes no time."""
    return Setting(kind=kind, nodes=NODES, processes=1, puts=PUTS, puts_per_s=20, rate_s=0.1, idle_s=0, **others)  # type: ignore[arg-type]


async def test_a_device_write_is_a_change_and_all_is_read_once(tmp_path: Path) -> None:
    run = await run_fleet(setting("agents", left_out=("one put",)), tmp_path)
    cold, _, rate, churn, warm, restart = run.phases
    assert [phase.phase for phase in run.phases] == ["cold", "idle", "rate", "churn", "warm", "restart"]
    assert cold.counts["peers_created"] == NODES * (NODES - 1)
    assert cold.counts["follower.whole_walks"] == NODES
    assert rate.counts["peers_created"] == NODES * 2
    assert "follower.whole_walks" not in rate.counts
    assert (churn.counts["peers_created"], churn.counts["peers_removed"]) == (NODES, NODES)
    assert "peers_created" not in warm.counts, "the devices were complete when the agents started again"
    assert "follower.whole_walks" not in warm.counts, "an agent that was restarted reads what changed"
    assert restart.counts["peers_created"] == NODES
    assert restart.counts["connection.sessions"] == NODES
    assert rate.notice is not None
    assert rate.notice.writes == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kv.watch", "subscribers"])
async def test_what_agents_are_compared_with_sees_the_same_records(kind: str, tmp_path: Path) -> None:
    run = await run_fleet(setting(kind, left_out=("restart",)), tmp_path)
    seen = {phase.phase: phase.notice.writes for phase in run.phases if phase.notice}
    assert seen == {"one put": PUTS, "rate": 2, "churn": 2}


def test_the_delay_to_the_last_node_is_taken_for_each_write() -> None:
    notice = notice_of([[0.1, 0.2], [0.4, 0.3]])
    assert (notice.p50, notice.max) == (0.3, 0.4)
    assert (notice.last_p50, notice.last_p99) == (0.4, 0.4)


def test_results_of_other_settings_stay_in_the_file(tmp_path: Path) -> None:
    phase = Phase(phase="cold", wall_s=1.0, nodes_cpu_s=0.5, nodes_rss=0, server=ServerReading(), counts={})
    one, other = (Run(setting=setting(kind), phases=[phase]) for kind in ("agents", "subscribers"))
    path = tmp_path / "results.json"
    save(path, [one])
    save(path, [other])
    assert load(path) == [one, other]
    assert table([one, other]).count("| cold |") == 2
