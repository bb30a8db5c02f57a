"""Times as NATS writes them."""

import pytest

from ikto_core.values.nats_time import nats_time_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.123456789Z", 1.123456),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00", None),  # before every time of a local clock
    ],
)
def test_a_time_is_read_and_anything_else_is_none(text: str, seconds: float | None) -> None:
    assert nats_time_s(text) == seconds
