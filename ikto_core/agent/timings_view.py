"""How long things take, as the admin interface shows it."""

from itertools import accumulate

from ikto_core.admin.timing_views import HistogramView, TimingsView
from ikto_core.device.reconciler import Reconciler
from ikto_core.store.follower import Follower
from ikto_core.values.histogram import Histogram


def timings_view(follower: Follower, reconciler: Reconciler, now: float) -> TimingsView:
    """Return the timings; `now` is in seconds since the epoch."""
    times, behind = follower.times, follower.bucket_revision > (reconciler.shown_revision or 0)
    return TimingsView(
        lag_s=times.lag_s(now) if behind else 0.0,
        clock_offset_s=times.clock_offset_s,
        applied=_histogram_view(times.applied),
        first_contact=_histogram_view(reconciler.contact_times.taken),
    )


def _histogram_view(histogram: Histogram) -> HistogramView:
    *counts, total = accumulate(histogram.counts)
    return HistogramView(bounds_s=histogram.bounds, counts=tuple(counts), count=total, sum_s=histogram.sum_s)
