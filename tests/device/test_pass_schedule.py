"""What the next pass on a device has to do."""

import asyncio
from math import inf

from ikto_core.device.pass_schedule import PassSchedule
from ikto_core.testing.devices import public_key_of

A = public_key_of(1)


def taken() -> PassSchedule:
    """Return the schedule after the first pass."""
    schedule = PassSchedule()
    schedule.take()
    return schedule


def test_the_first_pass_reads_the_device_and_finds_no_drift() -> None:
    assert PassSchedule().take() == (True, set(), True)


def test_what_is_taken_is_not_due_again() -> None:
    schedule = taken()
    schedule.mark_changed([A])
    assert schedule.take() == (False, {A}, False)
    assert schedule.take() == (False, set(), False)


def test_a_requested_pass_finds_drift_unless_changes_are_expected() -> None:
    schedule = taken()
    schedule.request_full_pass()
    assert schedule.take() == (True, set(), False)
    schedule.request_full_pass(changes_expected=True)
    schedule.request_full_pass()
    assert schedule.take() == (True, set(), True)


def test_a_pass_sees_what_is_reported_while_it_runs_and_takes_nothing_of_it() -> None:
    schedule = taken()
    assert schedule.peek() == (False, set(), False)
    schedule.mark_changed([A])
    schedule.request_full_pass(changes_expected=True)
    assert schedule.peek() == schedule.peek() == (True, {A}, True)
    assert schedule.take() == (True, {A}, True)


def test_a_full_pass_is_due_again_even_if_other_passes_never_stop() -> None:
    schedule = taken()

    async def waits() -> None:
        schedule.wake()
        await schedule.wait(check_at=inf, watch_at=inf)  # the first full pass by the clock is due at once
        assert schedule.take().full
        schedule.wake()
        await schedule.wait(check_at=inf, watch_at=inf)
        assert not schedule.take().full
        schedule.next_full_pass_at = 0.0
        schedule.wake()
        await schedule.wait(check_at=inf, watch_at=inf)

    asyncio.run(waits())
    assert schedule.take().full
