"""When a node holds its subnet against another node's record."""

from collections.abc import Callable
from typing import Any

import pytest

from ikto_core.claim.holding import LONGEST_ABSENCE_S, History, Holding
from ikto_core.claim.policy import Hold
from ikto_core.mesh.pins import HOLD_S
from ikto_core.mesh.view import Entry

MONDAY = History("created on Monday")
ROBBED = Entry(8, b"another node's")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def holding(clock: Clock) -> Holding:
    """A node whose record has revision 7."""
    made = Holding(clock)
    made.claimed("key", 7, MONDAY, had_owner=False)
    return made


def test_what_overwrites_the_record_in_the_same_history_is_held_against(holding: Holding) -> None:
    assert holding.hold("key", ROBBED, MONDAY, shown=True) is Hold.FIRM
    assert holding.hold("key", ROBBED, MONDAY, shown=False) is Hold.DOUBTED


@pytest.mark.parametrize(
    ("key", "entry", "history"),
    [
        pytest.param("other", ROBBED, MONDAY, id="another KV key"),
        pytest.param("key", Entry(7, b""), MONDAY, id="not later than the own record"),
        pytest.param("key", ROBBED, History("created on Tuesday"), id="another stream"),
        pytest.param("key", ROBBED, MONDAY._replace(number=1), id="the stream has lost writes"),
    ],
)
def test_nothing_is_held_that_the_bucket_may_have_lost(
    holding: Holding, key: str, entry: Entry, history: History
) -> None:
    assert holding.hold(key, entry, history, shown=True) is Hold.NONE


def test_a_released_subnet_is_not_held(holding: Holding) -> None:
    holding.released()
    assert holding.hold("key", ROBBED, MONDAY, shown=True) is Hold.NONE
    assert holding.seen_s_ago() is None


def test_who_had_the_subnet_before_may_come_back_for_a_while(clock: Clock) -> None:
    newcomer = Holding(clock)
    newcomer.claimed("key", 7, MONDAY, had_owner=True)
    newcomer.claimed("key", 7, MONDAY, had_owner=False)  # the record is written again, for another reason
    clock.now += HOLD_S - 1
    assert newcomer.hold("key", ROBBED, MONDAY, shown=True) is Hold.NONE
    clock.now += 1
    assert newcomer.hold("key", ROBBED, MONDAY, shown=True) is Hold.FIRM


@pytest.mark.parametrize(("away_s", "hold"), [(LONGEST_ABSENCE_S, Hold.FIRM), (LONGEST_ABSENCE_S + 1, Hold.NONE)])
@pytest.mark.parametrize("again", [False, True])
def test_a_subnet_is_held_for_as_long_as_the_peers_hold_it(
    holding: Holding, clock: Clock, away_s: float, hold: Hold, *, again: bool
) -> None:
    with holding.session():
        clock.now += 10 * HOLD_S
        assert holding.hold("key", ROBBED, MONDAY, shown=True) is Hold.FIRM
    clock.now += away_s
    if not again:
        assert holding.hold("key", ROBBED, MONDAY, shown=True) is hold
    else:
        with holding.session():
            assert holding.hold("key", ROBBED, MONDAY, shown=True) is hold


def restored(clock: Callable[[], float], seen_s_ago: float, yields_since_s_ago: float | None = None) -> Holding:
    made = Holding(clock)
    made.restore("key", 7, MONDAY.stream, seen_s_ago, yields_since_s_ago)
    return made


@pytest.mark.parametrize(
    ("seen_s_ago", "hold"), [(0.0, Hold.FIRM), (LONGEST_ABSENCE_S, Hold.FIRM), (LONGEST_ABSENCE_S + 1, Hold.NONE)]
)
def test_a_restart_changes_nothing(clock: Clock, seen_s_ago: float, hold: Hold) -> None:
    assert restored(clock, seen_s_ago).hold("key", ROBBED, MONDAY, shown=True) is hold


def test_who_had_the_subnet_before_may_come_back_also_after_a_restart(clock: Clock) -> None:
    """Otherwise both would write their records over the other's without end."""
    newcomer = Holding(clock)
    newcomer.claimed("key", 7, MONDAY, had_owner=True)
    clock.now += 100
    again = restored(clock, 0.0, newcomer.yields_since_s_ago())
    assert again.hold("key", ROBBED, MONDAY, shown=True) is Hold.NONE
    again.claimed("key", 9, MONDAY, had_owner=False)
    clock.now += HOLD_S - 101
    assert again.hold("key", Entry(10, b""), MONDAY, shown=True) is Hold.NONE
    clock.now += 1
    assert again.hold("key", Entry(10, b""), MONDAY, shown=True) is Hold.FIRM


def test_who_claimed_a_subnet_that_nobody_had_does_not_yield(holding: Holding) -> None:
    assert holding.yields_since_s_ago() is None


def test_how_long_ago_the_record_was_seen(holding: Holding, clock: Clock) -> None:
    with holding.session():
        clock.now += 7
        assert holding.seen_s_ago() == 0
    clock.now += 7
    assert holding.seen_s_ago() == 7
    assert restored(clock, 5).seen_s_ago() == 5


def test_a_session_that_fails_ends_too(holding: Holding, clock: Clock) -> None:
    def fail() -> Any:
        raise OSError

    with pytest.raises(OSError), holding.session():  # noqa: PT011 - only that it is raised
        fail()
    clock.now += 7
    assert holding.seen_s_ago() == 7
