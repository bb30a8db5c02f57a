"""The lag begins with the first change that the device does not show, and ends when it shows all."""

from ikto_core.store.sync_times import MOST_WAITING, SyncTimes

STORED = "2026-11-28T00:00:00.123456789Z"
STORED_AT = 1795824000.123456


def test_the_time_from_the_store_to_the_device_is_counted_once() -> None:
    times = SyncTimes()
    times.pushed(7, STORED, STORED_AT + 0.01)
    times.pushed(8, STORED, STORED_AT + 0.01)
    assert sum(times.applied.counts) == 0
    times.shown(7, STORED_AT + 0.2)
    times.shown(7, STORED_AT + 9)
    assert sum(times.applied.counts) == 1
    assert round(times.applied.sum_s, 3) == 0.2


def test_the_lag_lasts_until_the_device_shows_all_that_is_known() -> None:
    times = SyncTimes()
    times.known(7, 100.0)
    times.known(8, 103.0)
    assert times.lag_s(105.0) == 5
    times.shown(7, 106.0)
    assert times.lag_s(107.0) == 7
    times.shown(8, 108.0)
    assert times.lag_s(109.0) == 0
    times.known(8, 110.0)
    assert times.lag_s(111.0) == 0


def test_a_bucket_that_begins_anew_leaves_no_lag() -> None:
    times = SyncTimes()
    times.known(1000, 100.0)
    times.pushed(1000, STORED, STORED_AT)
    times.rewound(3)
    times.shown(3, 101.0)
    assert times.lag_s(102.0) == 0
    assert sum(times.applied.counts) == 0


def test_the_fastest_change_tells_how_far_the_clocks_are_apart() -> None:
    assert SyncTimes().clock_offset_s is None
    times = SyncTimes()
    for delay_s in (5.0, -2.0, 90.0):
        times.pushed(1, STORED, STORED_AT + delay_s)
    assert times.clock_offset_s
    assert round(times.clock_offset_s, 3) == -2


def test_a_change_without_a_readable_time_is_not_measured() -> None:
    times = SyncTimes()
    for text in ("", "soon", "9999999-01-01", "2026-13-01T00:00:00Z"):
        times.pushed(1, text, 100.0)
    assert times.clock_offset_s is None
    assert times.lag_s(101.0) == 1


def test_its_memory_is_bounded() -> None:
    times = SyncTimes()
    for revision in range(MOST_WAITING * 3):
        times.pushed(revision, STORED, STORED_AT)
    assert len(times._waiting) == MOST_WAITING
