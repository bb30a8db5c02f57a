"""What follows from a finding: its ratio, and whether its target is met."""

import pytest

from benchmarks.findings import Target, at_most, at_most_times
from tests.benchmarks.rows import a_row


def test_the_ratio_is_to_the_reference() -> None:
    assert a_row(ikto=3.0, reference=2.0).ratio == 1.5
    assert a_row(ikto=3.0).ratio is None
    assert a_row(ikto=3.0, reference=0.0).ratio is None


@pytest.mark.parametrize(
    ("target", "ikto", "reference", "met"),
    [
        (at_most(2.0), 2.0, None, True),
        (at_most(2.0), 2.1, 9.0, False),
        (at_most_times(1.5), 3.0, 2.0, True),
        (at_most_times(1.5), 3.1, 2.0, False),
        (at_most_times(1.5), 3.0, None, None),
        (None, 3.0, 2.0, None),
    ],
)
def test_a_target_is_of_the_value_or_of_the_ratio(
    target: Target | None, ikto: float, reference: float | None, met: bool | None
) -> None:
    assert a_row(ikto=ikto, reference=reference, target=target).met is met
