"""Times are aware and in UTC, and JSON has them as RFC 3339."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.values.times import epoch_s, utc


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000.25, "2023-11-14T22:13:20.250000Z"),
        (-1e300, "0001-01-01T00:00:00Z"),
        (float(2**63), "9999-12-31T23:59:59Z"),
    ],
)
def test_json_has_rfc_3339_also_of_a_clock_that_is_far_off(seconds: float, text: str) -> None:
    assert msgspec.to_builtins(utc(seconds)) == text


@given(st.floats(-6e10, 2e11))
def test_there_and_back(seconds: float) -> None:
    assert epoch_s(utc(seconds)) == pytest.approx(seconds, abs=1e-4)


def test_never_stays_never() -> None:
    assert (utc(None), epoch_s(None)) == (None, None)
