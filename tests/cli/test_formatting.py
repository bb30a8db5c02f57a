"""Ages and sizes are short and plausible for any clock and counter value."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.cli.formatting import size
from ikto_core.values.ages import UNKNOWN_AGE, age

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s ago"),
        (0.9, "0 s ago"),
        (12.7, "12 s ago"),
        (119.9, "119 s ago"),
        (120, "2 min ago"),
        (7200, "2 h ago"),
        (200_000, "2 d ago"),
        (-3, "0 s ago"),
        (-60, UNKNOWN_AGE),
        (NOW, UNKNOWN_AGE),
    ],
)
def test_ages_have_a_suitable_unit(seconds: float, text: str) -> None:
    assert age(NOW - seconds, NOW) == text


@given(st.floats(0, 1e12), st.floats(0, 1e12))
def test_ages_are_plausible_for_any_clock(then: float, now: float) -> None:
    text = age(then, now)
    assert text == UNKNOWN_AGE or re.fullmatch(r"\d{1,4} (s|min|h|d) ago", text)


def test_no_handshake_is_never() -> None:
    assert age(None, NOW) == "never"


@given(st.integers(0, 2**64))
def test_sizes_are_short(count: int) -> None:
    assert re.fullmatch(r"\d{1,4} B|\d{1,4}\.\d [KMG]iB|\d{1,8}\.\d TiB", size(count))


@pytest.mark.parametrize(
    ("count", "text"), [(1023, "1023 B"), (1024, "1.0 KiB"), (1024**2 - 1, "1.0 MiB"), (3 * 2**29, "1.5 GiB")]
)
def test_sizes_have_a_suitable_unit(count: int, text: str) -> None:
    assert size(count) == text
