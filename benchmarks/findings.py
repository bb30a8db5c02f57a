"""What a measurement finds, and the row that is kept of it."""

from typing import Literal

import msgspec

Unit = Literal["s", "B", "count", "cores"]
"""`s`: seconds of either clock or processor; `B`: bytes; `cores`: seconds of processor time a second."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted: at most `at_most`, of Ikto's value itself or of its ratio to the reference."""

    at_most: float
    of: Literal["value", "ratio"]


def at_most(value: float) -> Target:
    """Return the target that Ikto's value is at most this, in the row's unit."""
    return Target(at_most=value, of="value")


def at_most_times(ratio: float) -> Target:
    """Return the target that Ikto's value is at most so many times the reference."""
    return Target(at_most=ratio, of="ratio")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of Ikto, beside a reference. Values are in `unit`, without prefixes (0.002 s, not 2 ms)."""

    name: str  # stable, lower case, with the size: "idle-check/10600"; the baseline knows the row by it
    what: str  # the same for people: "idle check, 10,600 keys, server's processor time"
    unit: Unit
    ikto: float
    reference: float | None = None
    beside: str = ""  # what the reference is: "kv.watch"
    quoted: str = ""  # the date of a reference that was not measured in this run: "2026-11"; empty: it was
    missing: str = ""  # why there is no reference although one is known: "wg is not installed"
    noise: float = 0.0  # by how much the ratio (without a reference: the value) differs by chance, as a share of it
    target: Target | None = None


class Row(Finding, frozen=True, kw_only=True):
    """A finding with what follows from it, and where and when it was made. results.json is a list of these."""

    measure: str  # the name of the measure that made it
    ratio: float | None  # Ikto's value divided by the reference; None: no reference, or it is zero
    met: bool | None  # None: there is no target, or its reference is missing
    machine: str
    date: str  # of the run, as 2026-11-28


def row(finding: Finding, *, measure: str, machine: str, date: str) -> Row:
    """Return the row of a finding."""
    ratio = finding.ikto / finding.reference if finding.reference else None
    return Row(
        **msgspec.structs.asdict(finding),
        measure=measure,
        ratio=ratio,
        met=_met(finding.target, finding.ikto, ratio),
        machine=machine,
        date=date,
    )


def _met(target: Target | None, ikto: float, ratio: float | None) -> bool | None:
    measured = ikto if target and target.of == "value" else ratio
    return None if target is None or measured is None else measured <= target.at_most
