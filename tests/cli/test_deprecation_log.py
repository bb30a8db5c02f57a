"""What is deprecated is told once; other warnings are shown as before."""

import warnings

from ikto_core.cli.deprecation_log import deprecations_told
from ikto_core.deprecations import deprecated, warn


def use(name: str) -> None:
    """Stand for a deprecated function."""
    warn(deprecated(name, since="0.5", instead="use another"))


def test_each_use_is_told_once_and_other_warnings_are_shown_as_before() -> None:
    told: list[str] = []
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with deprecations_told(told.append):
            for name in ("a", "b", "a"):
                use(name)
            warnings.warn("of another library", DeprecationWarning, stacklevel=1)
        use("c")  # afterwards as before
    assert told == [f"{name} is deprecated since Ikto 0.5: use another" for name in ("a", "b")]
    assert [str(each.message)[:18] for each in shown] == ["of another library", "c is deprecated si"]
