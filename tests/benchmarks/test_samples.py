"""What is kept of repeated measurements, and how much of it is noise."""

from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.samples import Pair, noise, p99

values = st.lists(st.floats(min_value=1e-6, max_value=1e6), min_size=2, max_size=30)


def test_each_side_is_kept_by_the_same_statistic() -> None:
    pair = Pair([3.0, 1.0, 2.0], [8.0, 4.0, 6.0])
    assert [pair.finding("a", "a").ikto, pair.finding("a", "a").reference] == [2.0, 6.0]
    least = pair.finding("a", "a", statistic=min)
    assert [least.ikto, least.reference] == [1.0, 4.0]


def test_without_rounds_of_a_reference_there_is_none() -> None:
    assert Pair([1.0]).finding("a", "a", missing="wg is not installed").reference is None


def test_p99_leaves_out_one_in_a_hundred() -> None:
    assert p99([float(number) for number in range(1000)]) == 990.0
    assert p99([5.0, 1.0]) == 5.0


@given(values, st.floats(min_value=0.01, max_value=100))
def test_noise_is_a_share_of_the_value(values: list[float], factor: float) -> None:
    for statistic in (median, min):
        scaled = noise([value * factor for value in values], statistic)
        assert abs(scaled - noise(values, statistic)) <= 1e-6 * (1 + scaled)


def test_equal_values_have_no_noise_and_neither_has_a_single_one() -> None:
    assert noise([2.0, 2.0, 2.0]) == 0
    assert noise([2.0]) == 0
    assert noise([]) == 0


def test_one_outlier_does_not_change_the_noise() -> None:
    calm = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]
    assert noise([*calm[:-1], 900.0]) == noise(calm)
    assert noise([*calm[:-1], 900.0], min) == noise(calm, min)


def test_the_noise_of_a_ratio_is_that_of_both_sides() -> None:
    wild, calm = [1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 5.0, 5.0]
    assert Pair(wild, calm).finding("a", "a").noise == noise(wild)
    assert Pair(wild, wild).finding("a", "a").noise > noise(wild)
