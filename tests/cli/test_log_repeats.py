"""No cause has two warnings within a second; the next one says how many were left out."""

from typing import Any

import pytest
import structlog

from ikto_core.cli.log_repeats import MOST_CAUSES, RepeatFilter


class Logged:
    """Lines that pass the filter, at times that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self._filter = RepeatFilter(lambda: self.now)

    def __call__(self, event: str, level: str = "warning", **members: Any) -> dict[str, Any] | None:
        try:
            return dict(self._filter(None, level, {"event": event, **members}))
        except structlog.DropEvent:
            return None


@pytest.fixture
def log() -> Logged:
    return Logged()


def test_a_repeated_warning_is_counted_in_the_next_one(log: Logged) -> None:
    assert log("no connection", error="refused", next_try_in_s=0.2)
    assert log("no connection", error="refused", next_try_in_s=0.5) is None
    log.now += 0.9
    assert log("no connection", error="refused", next_try_in_s=1.0) is None
    log.now += 0.2
    assert (log("no connection", error="refused", next_try_in_s=2.0) or {})["repeated"] == 2
    log.now += 5
    assert "repeated" not in (log("no connection", error="refused") or {"repeated": 0})


def test_another_cause_is_another_line(log: Logged) -> None:
    assert log("file is unreadable", path="a")
    assert log("file is unreadable", path="b")
    assert log("no connection", error="refused")
    assert log("no connection", error="denied")


def test_what_is_no_warning_always_passes(log: Logged) -> None:
    assert log("connected", "info")
    assert log("connected", "info")


def test_its_memory_is_bounded(log: Logged) -> None:
    for number in range(MOST_CAUSES * 3):
        assert log("x", number=number)
    assert len(log._filter._last) <= MOST_CAUSES
