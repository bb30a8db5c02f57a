"""No command and no answer of the admin interface prints a time as a number: a number with a fraction is a duration."""

import inspect
import json
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import get_args, get_type_hints

import msgspec
import pytest

import ikto_core.admin
import ikto_core.cli
from tests.json_schema import faults
from tools.documents import ROOT

SHOWN = (
    *(f"ikto_core.admin.{found.name}" for found in iter_modules(ikto_core.admin.__path__)),
    *(f"ikto_core.cli.{found.name}" for found in iter_modules(ikto_core.cli.__path__)),
    "ikto_core.fleet.overview",
    "ikto_core.observers.contract",
    "ikto_core.observers.health",
    "ikto_core.plugins.check_contract",
    "ikto_core.roster.listing",
    "ikto_core.values.counters",
)
NOT_SHOWN = {"MeshTrust"}


def view_types() -> Iterator[type[msgspec.Struct]]:
    for name in SHOWN:
        for _, each in inspect.getmembers(import_module(name), inspect.isclass):
            if issubclass(each, msgspec.Struct) and each.__module__ == name and each.__name__ not in NOT_SHOWN:
                yield each


def numbers_that_are_no_durations(view: type[msgspec.Struct]) -> list[str]:
    """Return the members that hold numbers with a fraction and whose names do not end in `_s`."""
    hints = get_type_hints(view)
    return [name for name, hint in hints.items() if _has_float(hint) and not name.endswith("_s")]


def _has_float(hint: object) -> bool:
    return hint is float or any(_has_float(part) for part in get_args(hint))


@pytest.mark.parametrize("view", tuple(view_types()), ids=lambda view: view.__name__)
def test_a_number_with_a_fraction_is_a_duration(view: type[msgspec.Struct]) -> None:
    assert numbers_that_are_no_durations(view) == [], "a time is a datetime; the name of a duration ends in _s"


def test_the_description_says_of_each_time_that_it_is_one() -> None:
    schemas = json.loads((ROOT / "docs/openapi.json").read_text())["components"]["schemas"]
    until = schemas["LeaveView"]["properties"]["until"]
    assert {each.get("format") for each in until["anyOf"]} == {"date-time", None}
    assert list(
        faults(
            {"step": "none", "until": "2026-01-31", "failure": None, "hint": None},
            {"$ref": "#/components/schemas/LeaveView"},
            {"components": {"schemas": schemas}},
        )
    )


def test_the_walk_finds_the_views_and_a_time_in_them() -> None:
    class Wrong(msgspec.Struct):
        saved_at: float | None
        parts: tuple[float, ...] = ()
        took_s: float = 0

    assert {"StatusView", "Diagnosis", "TimingsView", "MeshOverview", "NodeRecord", "PingView", "InSync"} <= {
        view.__name__ for view in view_types()
    }
    assert numbers_that_are_no_durations(Wrong) == ["saved_at", "parts"]
