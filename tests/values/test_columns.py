"""Text takes the columns that a terminal gives it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.values.columns import clipped_to, padded, width_of, wrapped


@pytest.mark.parametrize(("text", "width"), [("node", 4), ("東京", 4), ("e\u0301", 1), ("ｱ", 1), ("🐳", 2), ("", 0)])
def test_wide_and_combining_characters_have_their_width(text: str, width: int) -> None:
    assert width_of(text) == width
    assert width_of(padded(text, 9)) == 9


@given(st.text(), st.integers(1, 30))
def test_a_cut_text_fits_and_a_text_that_fits_is_not_cut(text: str, width: int) -> None:
    cut = clipped_to(text, width)
    assert width_of(cut) <= width
    assert (cut == text) == (width_of(text) <= width)


@given(st.text("ab 東"), st.integers(1, 12))
def test_wrapping_loses_nothing_and_breaks_no_word(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert " ".join(lines) == text
    assert all(width_of(line) <= width or " " not in line for line in lines)
