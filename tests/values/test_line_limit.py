"""One line a second for one cause, and every line that was left out is counted once."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ikto_core.values.line_limit import EVERY_S, LineLimit

TIMES = st.lists(st.tuples(st.floats(0, 3), st.sampled_from("ab")), max_size=30)


def written(steps: list[tuple[float, str]]) -> tuple[list[tuple[float, str, int]], int]:
    """Return what was written when, for which cause, with the number of lines that it stands for; and their total."""
    limit, now, lines = LineLimit[str, str](), 100.0, []
    for pause_s, cause in steps:
        until = now + pause_s
        while limit.due_at <= until:
            now = limit.due_at
            lines += [(now, left_out.last, left_out.number) for left_out in limit.due(now)]
        now = until
        if limit.admit(cause, cause, now):
            lines.append((now, cause, 1))
    while limit.due_at < float("inf"):
        now = limit.due_at
        lines += [(now, left_out.last, left_out.number) for left_out in limit.due(now)]
    return lines, len(steps)


@given(TIMES)
def test_no_cause_has_two_lines_within_a_second_and_no_line_is_forgotten(steps: list[tuple[float, str]]) -> None:
    lines, total = written(steps)
    assert sum(number for *_, number in lines) == total
    for cause in "ab":
        times = [at for at, each, _ in lines if each == cause]
        assert all(later - earlier > EVERY_S - 1e-9 for earlier, later in pairwise(times))  # times are sums of floats


def test_the_first_line_is_written_at_once_and_the_others_as_one() -> None:
    lines, _ = written([(0.0, "a")] * 42)
    assert lines == [(100.0, "a", 1), (101.0, "a", 41)]


def test_it_keeps_nothing_of_a_cause_that_has_ended() -> None:
    limit = LineLimit[int, str]()
    for number in range(1000):
        limit.admit(number, "x", float(number * 10))
        list(limit.due(float(number * 10 + 5)))
    assert not limit._windows
