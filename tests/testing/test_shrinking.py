"""After a failure, a bounded number of smaller examples is tried; what has failed stays failed."""

import pytest

from ikto_core.testing.shrinking import with_bounded_shrinking


def test_after_a_failure_few_examples_are_looked_at() -> None:
    seen: list[int] = []

    def check(example: int) -> None:
        seen.append(example)
        if example >= 10:
            raise ValueError(str(example))

    def fails(example: int) -> bool:
        try:
            bounded(example)
        except ValueError:
            return True
        return False

    bounded = with_bounded_shrinking(check, 2)
    assert [fails(example) for example in (1, 2, 20, 15, 3, 11, 12, 20, 15)] == [
        False, False, True, True, False, False, False, True, True,
    ]  # fmt: skip
    assert seen == [1, 2, 20, 15, 3]
    with pytest.raises(ValueError, match="15"):
        bounded(15)
