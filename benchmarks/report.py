"""What a benchmark found, and how it is written down."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

RESULTS = Path(__file__).with_name("RESULTS.md")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing measured beside another."""

    what: str
    ours: str
    beside: str  # what it was measured against; empty: nothing
    ratio: float | None  # ours by the other; None: there is no other
    wanted: str  # what was asked for; empty: nothing


def write(findings: Sequence[Finding]) -> str:
    """Write RESULTS.md anew and return its text."""
    rows = [
        f"| {f.what} | {f.ours} | {f.beside or '–'} | {'–' if f.ratio is None else f'{f.ratio:.2f}'} | {f.wanted or '–'} |"
        for f in findings
    ]
    text = "\n".join(
        [
            "# Benchmarks",
            "",
            f"`make bench` on {datetime.now(UTC):%Y-%m-%d}: {_machine()}.",
            "Compare within a run; absolute figures are this machine's.",
            "",
            "| what | Ikto | measured beside | ratio | wanted |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
    RESULTS.write_text(text)
    return text


def _machine() -> str:
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").open() if line.startswith("model name")),
        platform.machine(),
    )
    cores = sum(line.startswith("processor") for line in Path("/proc/cpuinfo").open())
    return f"{cores} cores of {model}, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"
