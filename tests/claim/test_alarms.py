"""Alarms are all counted, and rarely logged."""

from structlog.testing import capture_logs

from ikto_core.claim.alarms import LOG_EVERY_S, Alarms
from ikto_core.values.counters import ProofCounters


def test_each_alarm_is_counted_and_one_of_an_event_is_logged_in_a_while() -> None:
    now, stats = 0.0, ProofCounters()
    alarms = Alarms(stats, lambda: now)
    with capture_logs() as logs:
        for _ in range(100):
            alarms.report("robbed", by="one")
        alarms.report("forged")
        now += LOG_EVERY_S
        alarms.report("robbed", by="other")
    assert stats.alarms == 102
    assert [(log["event"], log.get("by"), log["alarms"]) for log in logs] == [
        ("robbed", "one", 1),
        ("forged", None, 101),
        ("robbed", "other", 102),
    ]
