"""Durations on the command line."""

from typing import Any, cast

import click
import pytest

from ikto_core.cli.durations import seconds_given

NOTHING = cast("Any", None)


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("500ms", 0.5), ("2m", 120), ("1.5h", 5400), ("7", 7)])
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert seconds_given(NOTHING, NOTHING, text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1 s", "nan", "1e3"])
def test_anything_else_is_a_wrong_command_line(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a duration such as 30s"):
        seconds_given(NOTHING, NOTHING, text)
