"""Every duration counts once, at the first bound that is not below it."""

from hypothesis import given
from hypothesis import strategies as st

from ikto_core.values.histogram import Histogram


@given(st.lists(st.floats(-10, 10)))
def test_every_duration_counts_once(durations: list[float]) -> None:
    histogram = Histogram((1, 2.5, 5))
    for duration in durations:
        histogram.observe(duration)
    assert sum(histogram.counts) == len(durations)
    assert sum(histogram.counts[:2]) == sum(duration <= 2.5 for duration in durations)
    assert histogram.sum_s == sum(max(duration, 0.0) for duration in durations)
