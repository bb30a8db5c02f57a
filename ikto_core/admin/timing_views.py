"""The public JSON of how long things take, as a part of the status."""

import msgspec


class HistogramView(msgspec.Struct, frozen=True, kw_only=True):
    """Durations by their size."""

    bounds_s: tuple[float, ...]  # upper bounds in seconds, ascending and inclusive
    counts: tuple[int, ...]  # how many durations there were up to each bound
    count: int  # how many there were in all
    sum_s: float  # their sum in seconds


class TimingsView(msgspec.Struct, frozen=True, kw_only=True):
    """How long things take, since the agent's start."""

    lag_s: float  # how long the device has been behind the bucket, in seconds; 0: it is not
    clock_offset_s: float | None  # how far this host's clock is ahead of the NATS server's; null: no change came yet
    applied: HistogramView  # from a write's storage at the server to the device, by the clocks of both
    first_contact: HistogramView  # from a new peer's addition to the device to its first session
