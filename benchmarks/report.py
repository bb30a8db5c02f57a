"""Benchmark findings, and RESULTS.md."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

RESULTS = Path(__file__).with_name("RESULTS.md")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of Ikto, compared with a reference."""

    what: str
    ikto: str
    reference: str  # what it is compared with; empty: nothing
    ratio: float | None  # Ikto divided by the reference; None: there is no reference
    target: str  # the required ratio or value; empty: none


def finding(what: str, ikto_s: float, reference: str, reference_s: float, target: str) -> Finding:
    """Return the finding for two durations in seconds."""
    return Finding(
        what=what,
        ikto=_time(ikto_s),
        reference=f"{reference}: {_time(reference_s)}",
        ratio=ikto_s / reference_s,
        target=target,
    )


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.1f} ms"


def write(findings: Sequence[Finding], notes: Sequence[str]) -> str:
    """Write RESULTS.md and return its text."""
    rows = [f"| {f.what} | {f.ikto} | {f.reference} | {_ratio(f)} | {f.target} |" for f in findings]
    text = "\n".join(
        [
            "# Benchmarks",
            "",
            f"`make bench` on {datetime.now(UTC):%Y-%m-%d}: {_machine()}.",
            "Compare ratios within a run; absolute times depend on the machine.",
            "",
            "| what | Ikto | reference | ratio | target |",
            "|---|---|---|---|---|",
            *rows,
            "",
            *notes,
            "",
        ]
    )
    RESULTS.write_text(text)
    return text


def _ratio(finding: Finding) -> str:
    return "" if finding.ratio is None else f"{finding.ratio:.2f}"


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    kernel = platform.release().split("-")[0]
    cores = f"{len(models)} cores of {models[0]}" if models else platform.machine()
    return f"{cores}, Linux {kernel}, Python {platform.python_version()}"
