"""Runs checks one after another: each is bounded, and one that fails is a finding of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from enum import Enum

import msgspec

from ikto_core.diagnosis.subject import Subject
from ikto_core.errors import IktoError, described
from ikto_core.plugins.check_contract import Finding, Level

CHECK_LIMIT_S = 30.0
"""A check that takes longer is given up. It may dial several servers that do not answer."""

PAGE = "doctor.md"

FAILED_FIX = "run `ikto --debug doctor`, and report this"


class Category(Enum):
    """What a check looks at. They are checked in this order, since each needs the ones before."""

    HOST = "host"
    DEVICE = "device"
    UNDERLAY = "underlay"
    NATS = "NATS"
    BUCKET = "bucket"
    CLAIM = "claim"
    PEERS = "peers"
    PLUGINS = "plugins"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check of Ikto's own. Its heading in docs/doctor.md is its name."""

    category: Category
    name: str  # lower case letters, digits and '-'
    summary: str  # one line: what is well if nothing is found
    run: Callable[[Subject], Awaitable[Iterable[Finding]]]
    before_start: bool = True  # whether it makes sense before the node's first start


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report: a finding, and the check that it is from."""

    category: Category
    check: str  # name of the check; of a plugin's: PLUGIN'S DISTRIBUTION/NAME
    finding: Finding


def ok(text: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(level=Level.OK, text=text)


def skipped(text: str) -> Finding:
    """Return the finding that nothing could be looked at; the text says why."""
    return Finding(level=Level.SKIPPED, text=text)


def warning(text: str, fix: str = "") -> Finding:
    """Return the finding that somebody should look at this."""
    return Finding(level=Level.WARNING, text=text, fix=fix)


def error(text: str, fix: str = "") -> Finding:
    """Return the finding that this does not work."""
    return Finding(level=Level.ERROR, text=text, fix=fix)


def failure(raised: IktoError) -> Finding:
    """Return an error of Ikto as a finding."""
    return error(str(raised), raised.hint)


async def run_checks(subject: Subject, checks: Sequence[Check]) -> AsyncIterator[Result]:
    """Yield the results of the checks as they come. Before a first start only those are run that make sense then."""
    for check in checks:
        if subject.before_start and not check.before_start:
            continue
        for finding in await _findings(subject, check):
            yield Result(category=check.category, check=check.name, finding=_with_page(check, finding))


async def _findings(subject: Subject, check: Check) -> Sequence[Finding]:
    """Return what a check found, at least one finding."""
    try:
        async with asyncio.timeout(CHECK_LIMIT_S):
            return tuple(await check.run(subject)) or (ok(check.summary),)
    except IktoError as raised:
        return (failure(raised),)
    except TimeoutError:
        return (error(f"this check did not end within {CHECK_LIMIT_S:g} s", FAILED_FIX),)
    except Exception as raised:  # noqa: BLE001 - the other checks must run
        return (error(f"this check failed: {described(raised)}", FAILED_FIX),)


def _with_page(check: Check, finding: Finding) -> Finding:
    return finding if finding.page else msgspec.structs.replace(finding, page=f"{PAGE}#{check.name}")


def worst(results: Iterable[Result]) -> Level:
    """Return the worst level of the results."""
    order = list(Level)
    return max((result.finding.level for result in results), key=order.index, default=Level.OK)
