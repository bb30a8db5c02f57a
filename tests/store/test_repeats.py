"""A cause that repeats is one line, then one a minute with a count."""

from ikto_core.store.repeats import LINE_EVERY_S, MAX_CAUSES, RepeatFilter


def test_the_first_line_is_due_at_once_and_the_next_after_a_minute_with_the_count() -> None:
    repeats = RepeatFilter()
    assert repeats.due("a", 1000.0) == 1
    assert [repeats.due("a", 1000.0 + second) for second in range(1, 50)] == [0] * 49
    assert repeats.due("b", 1001.0) == 1, "another cause is independent"
    assert repeats.due("a", 1000.0 + LINE_EVERY_S) == 50
    assert repeats.due("a", 1001.0 + LINE_EVERY_S) == 0


def test_any_number_of_causes_uses_limited_memory_and_few_lines() -> None:
    repeats = RepeatFilter()
    lines = sum(repeats.due(f"cause {number}", 1.0) > 0 for number in range(10 * MAX_CAUSES))
    assert lines == MAX_CAUSES + 1
