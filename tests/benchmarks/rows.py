"""Rows for tests."""

from typing import Any

from benchmarks.findings import Finding, Row, row


def a_row(
    name: str = "walk/1000", ikto: float = 2.0, *, machine: str = "m1", measure: str = "walk", **more: Any
) -> Row:
    members: dict[str, Any] = {"name": name, "what": name, "unit": "s", "ikto": ikto} | more
    finding = Finding(**members)
    return row(finding, measure=measure, machine=machine, date="2026-11-28")
