"""Checks of the plugins and observers, and the checks that plugins add."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from itertools import islice

import msgspec

from ikto_core.diagnosis.checks import Category, Check, error, ok, skipped, warning
from ikto_core.diagnosis.subject import Subject
from ikto_core.errors import IktoError, described
from ikto_core.plugins.check_contract import CheckContext, CheckPlugin, Finding, Level
from ikto_core.plugins.offers import Offer
from ikto_core.underlay.daemon_thread import DaemonThread

PLUGIN_LIMIT_S = 10.0
MOST_FINDINGS = 100
"""So many findings of one check are shown: guards against an iterator that never ends."""


async def _plugins(subject: Subject) -> Iterable[Finding]:
    unusable = [
        warning(
            f"{row.kind} {row.name} of {row.distribution} {row.version} is unusable: {row.reason}",
            "correct or uninstall it, or name it in blocked_plugins",
        )
        for row in subject.plugins.problems()
    ]
    aging = [
        warning(
            f"{row.kind} {row.name} of {row.distribution} {row.version} won't run with a later Ikto: {use}",
            f"install a newer version of {row.distribution}, or ask its makers for one",
        )
        for row in subject.plugins.listing()
        for use in row.deprecated
    ]
    return unusable + aging


async def _observers(subject: Subject) -> Iterable[Finding]:
    if subject.status is None:
        return [skipped("no agent answers")]
    return [
        error(f"the observer {observer.name} gets no events: {observer.failure}", "see the agent's log")
        for observer in subject.status.observers
        if observer.failure
    ]


PLUGIN_CHECKS = (
    Check(category=Category.PLUGINS, name="plugins", summary="every plugin can be used", run=_plugins),
    Check(
        category=Category.PLUGINS,
        name="observers",
        summary="every observer gets the events",
        run=_observers,
        before_start=False,
    ),
)


def added_checks(subject: Subject, limit_s: float = PLUGIN_LIMIT_S) -> Sequence[Check]:
    """Return the checks that plugins add, by name; a call that takes longer than `limit_s` is given up."""
    offers = sorted(subject.plugins.checks.usable(), key=lambda offer: offer.record.name)
    return [_added(offer, limit_s) for offer in offers]


def _added(offer: Offer[CheckPlugin], limit_s: float) -> Check:
    plugin, source = offer.record, offer.source

    async def run(subject: Subject) -> Iterable[Finding]:
        context = subject.check_context()
        fix = f"ask the makers of {source.distribution}, or name it in blocked_plugins"
        try:
            with redirect_stdout(sys.stderr):  # not in the thread: it may never end
                found = await DaemonThread(plugin.name).run(lambda: _findings(plugin, context, fix), limit_s)
        except TimeoutError:
            return [error(f"the check did not end within {limit_s:g} s", fix)]
        return found or [ok(plugin.summary)]

    return Check(
        category=Category.PLUGINS,
        name=f"{source.distribution}/{plugin.name}",
        summary=plugin.summary,
        run=run,
    )


def _findings(plugin: CheckPlugin, context: CheckContext, fix: str) -> list[Finding]:
    """Return what a check of a plugin found, and as an error what it raises."""
    found: list[Finding] = []
    try:
        for finding in islice(plugin.run(context), MOST_FINDINGS + 1):
            found.append(_valid(finding))  # noqa: PERF401 - those before an error count
    except IktoError as raised:
        return [*found, error(str(raised), raised.hint or fix)]
    except BaseException as raised:  # noqa: BLE001 - third-party code may raise anything, SystemExit included
        return [*found, error(f"the check failed: {described(raised)}", fix)]
    if len(found) > MOST_FINDINGS:
        return [*found[:MOST_FINDINGS], error(f"the check returned more than {MOST_FINDINGS} findings", fix)]
    return found


def _valid(finding: object) -> Finding:
    """Return a finding whose members have the right types, each text on one line."""
    if not isinstance(finding, Finding):
        raise TypeError(f"it returned a {type(finding).__name__}, not a Finding")
    if not isinstance(finding.level, Level):
        raise TypeError(f"its level is a {type(finding.level).__name__}, not a Level")
    texts = {name: " ".join(str(getattr(finding, name)).split()) for name in ("text", "fix", "page")}
    return msgspec.structs.replace(finding, **texts)
