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


def finding(what: str, ours_s: float, beside: str, beside_s: float, wanted: str) -> Finding:
    """Return what two times say."""
    return Finding(
        what=what, ours=_time(ours_s), beside=f"{beside}: {_time(beside_s)}", ratio=ours_s / beside_s, wanted=wanted
    )


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.1f} ms"


def write(findings: Sequence[Finding], notes: Sequence[str]) -> str:
    """Write RESULTS.md anew and return its text."""
    rows = [f"| {f.what} | {f.ours} | {f.beside} | {_ratio(f)} | {f.wanted} |" for f in findings]
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
            *notes,
            "",
        ]
    )
    RESULTS.write_text(text)
    return text


def _ratio(finding: Finding) -> str:
    return "" if finding.ratio is None else f"{finding.ratio:.2f}"


def _machine() -> str:
    described = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in described if line.startswith("model name")]
    kernel = platform.release().split("-")[0]
    cores = f"{len(models)} cores of {models[0]}" if models else platform.machine()
    return f"{cores}, Linux {kernel}, Python {platform.python_version()}"
