"""The limit of lines holds whatever the code does when it is reached."""

import pytest

from ikto_core.testing.ipam_work_limit import TooMuchWorkError, line_limit


@pytest.mark.parametrize("lines", range(20, 40))
def test_a_generator_that_is_let_go_does_not_swallow_the_limit(lines: int) -> None:
    """What is raised while a generator is closed by the collector is only reported."""

    def let_go_of_generators() -> None:
        while True:
            next(number for number in (1, 2))

    with pytest.raises(TooMuchWorkError), line_limit(lines):
        let_go_of_generators()
