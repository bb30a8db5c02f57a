"""The results of the fleet bench: a file of JSON, and a table of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks.fleet.course import Run
from benchmarks.fleet.phase import Phase
from benchmarks.fleet.tables import table as markdown

RESULTS = Path(__file__).with_name("results.json")

COLUMNS = (
    "servers",
    "nodes",
    "phase",
    "of",
    "seconds",
    "put to one: p50 / p99 / max",
    "put to the last: p50 / p99",
    "CPU s nodes",
    "CPU s server",
    "bytes to a node",
    "device writes",
    "whole reads",
)


def save(path: Path, runs: Sequence[Run]) -> None:
    """Write the runs; those of other settings stay in the file."""
    kept = [run for run in load(path) if all(not _same(run, other) for other in runs)] if path.exists() else []
    path.write_bytes(msgspec.json.format(msgspec.json.encode([*kept, *runs]), indent=1))


def load(path: Path) -> list[Run]:
    """Return the runs in a file."""
    return msgspec.json.decode(path.read_bytes(), type=list[Run])


def _same(run: Run, other: Run) -> bool:
    one, two = run.setting, other.setting
    return (one.kind, one.nodes, one.servers) == (two.kind, two.nodes, two.servers)


def table(runs: Sequence[Run]) -> str:
    """Return all phases as a table."""
    return markdown(COLUMNS, _rows(runs)) + "\n"


def _rows(runs: Sequence[Run]) -> Iterator[Sequence[object]]:
    keyed = [
        ((run.setting.servers, run.setting.nodes, position, run.setting.kind), run, phase)
        for run in runs
        for position, phase in enumerate(run.phases)
    ]
    for _, run, phase in sorted(keyed, key=lambda each: each[0]):
        yield _row(run, phase)


def _row(run: Run, phase: Phase) -> Sequence[object]:
    of, seen, counts = run.setting, phase.notice, phase.counts
    one = f"{_ms(seen.p50)} / {_ms(seen.p99)} / {_ms(seen.max)}" if seen else ""
    last = f"{_ms(seen.last_p50)} / {_ms(seen.last_p99)}" if seen else ""
    written = sum(counts.get(name, 0) for name in ("peers_created", "peers_changed", "peers_removed"))
    return (
        of.servers,
        of.nodes,
        phase.phase,
        of.kind,
        f"{phase.wall_s:.1f}",
        one,
        last,
        f"{phase.nodes_cpu_s:.2f}",
        f"{phase.server.cpu_s:.2f}",
        f"{phase.server.out_bytes / of.nodes:,.0f}",
        written or "",
        counts.get("follower.whole_walks", ""),
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
