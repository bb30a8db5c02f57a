"""How often agents ask the leader."""

from random import Random

from ikto_core.store.check_pace import LEADER_CHECKS_PER_S, check_interval_s, wake_delay_s


def test_a_large_mesh_asks_the_leader_less_often() -> None:
    """All agents together make about LEADER_CHECKS_PER_S checks a second at most."""
    assert 16 <= check_interval_s(0, Random(0)) <= 24
    assert 160 <= check_interval_s(10_000, Random(0)) <= 240


def test_the_agents_of_a_large_mesh_do_not_ask_all_at_once_after_a_write() -> None:
    assert wake_delay_s(1, Random(0)) < 0.5
    assert wake_delay_s(10_000, Random(0)) >= 0.5 * 10_000 / LEADER_CHECKS_PER_S
