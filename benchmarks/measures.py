"""The measures: each module of `benchmarks` that has `MEASURES` is found by itself, and each measure runs alone."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from benchmarks.findings import Finding
from benchmarks.groups import GROUPS, GroupName
from benchmarks.machines import HERE, Prefix


class SkippedError(Exception):
    """A measure can't run on this machine; the message says why. The run goes on and reports that."""


@dataclass(frozen=True)
class Bench:
    """What a measure is given: whether to be quick, and an empty directory that is deleted afterwards."""

    quick: bool
    directory: Path

    def pick(self, full: int, quick: int) -> int:
        """Return a size or a number of rounds: `full`, or `quick` in `make bench-quick`."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Measure:
    """A function that makes findings, with a process of its own. One that ends in an error loses only its own rows.

    Attributes:
        name: What `--only` takes: lower case, with hyphens.
        group: Where its rows are.
        run: Returns findings; may be a coroutine function. Raises SkippedError if it can't run on this machine.
        quick: Whether `make bench-quick` runs it.
        timeout_s: When its process is ended.
        prefix: Where it runs (benchmarks/machines.py).

    """

    name: str
    group: GroupName
    run: Callable[[Bench], Sequence[Finding] | Awaitable[Sequence[Finding]]]
    quick: bool = True
    timeout_s: float = 300.0
    prefix: Prefix = HERE


def findings(measure: Measure, bench: Bench) -> Sequence[Finding]:
    """Run a measure here, a coroutine in an event loop of its own."""
    found = measure.run(bench)
    return asyncio.run(_result(found)) if inspect.isawaitable(found) else found


async def _result(found: Awaitable[Sequence[Finding]]) -> Sequence[Finding]:
    return await found


def all_measures() -> Sequence[Measure]:
    """Return the measures of all modules, by group. Raises ValueError if two have one name."""
    order = list(GROUPS)
    measures = sorted(_found(), key=lambda measure: (order.index(measure.group), measure.name))
    names = [measure.name for measure in measures]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two measures have one name: {', '.join(sorted(twice))}")
    return measures


def _found() -> Iterator[Measure]:
    import benchmarks  # noqa: PLC0415 - itself

    for module in iter_modules(benchmarks.__path__):
        if module.name != "__main__":
            yield from getattr(import_module(f"benchmarks.{module.name}"), "MEASURES", ())
