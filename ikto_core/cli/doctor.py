"""`ikto doctor`: run the checks of this node, and say what to do about what they find."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import click
import msgspec

from ikto_core.cli.checked_node import checked_node
from ikto_core.cli.examples import examples
from ikto_core.cli.exit_codes import FAILED_CHECK
from ikto_core.cli.logs import NOTHING, log_to_stderr
from ikto_core.cli.marks import mark_text
from ikto_core.cli.options import config_option, json_option, socket_option
from ikto_core.cli.progress import Progress, progress
from ikto_core.cli.tables import fitted
from ikto_core.client import AdminClient
from ikto_core.config import load_config
from ikto_core.diagnosis.all_checks import all_checks
from ikto_core.diagnosis.checks import Category, Result, failure, run_checks, worst
from ikto_core.diagnosis.checks_config import CONFIGURATION, PAGE_OF_CONFIGURATION
from ikto_core.errors import ConfigError, IktoError
from ikto_core.plugins.check_contract import Level
from ikto_core.values.text import printable

DOCS = "docs/"
"""Where pages are, in the repository and in the documentation."""


@click.command(
    epilog=examples(
        "ikto doctor                              # the running node",
        "ikto doctor --pre -c /etc/ikto/new.json  # before its first start",
        "ikto doctor --json | jq '.findings[] | select(.level == \"error\")'",
    )
)
@config_option
@socket_option
@click.option("--pre", is_flag=True, help="Check before the first start: no agent and no claim are expected.")
@json_option
def doctor(config_path: Path, socket: Path | None, pre: bool, as_json: bool) -> int:
    """Check this node: host, device, network, NATS, bucket, claim, peers and plugins.

    √ is well, ‼ is worth a look, × does not work, - could not be looked at. Each finding says what to do, and where to
    read more. Nothing is changed. The exit code is 21 if there is a ×, else 0.
    """
    log_to_stderr(NOTHING, as_json=False)
    with progress("checking this node") as shown:
        show = _nothing if as_json else _Printer(shown).show
        results = asyncio.run(_report(_results(config_path, socket, pre=pre), show))
    if as_json:
        click.echo(json.dumps(_document(results), indent=2))
    else:
        click.echo(f"\n{_summary(results)}")
    return FAILED_CHECK if worst(results) is Level.ERROR else 0


async def _report(results: AsyncIterator[Result], show: Callable[[Result], None]) -> list[Result]:
    """Show the results as they come; return all of them."""
    found = []
    async for result in results:
        show(result)
        found.append(result)
    return found


async def _results(path: Path, socket: Path | None, *, pre: bool) -> AsyncIterator[Result]:
    try:
        config = load_config(path, environ=os.environ, overrides={})
    except ConfigError as error:  # nothing else can be checked without it
        for problem in error.problems or (error,):
            yield _of_configuration(ConfigError(str(problem), hint="" if error.problems else error.hint))
        return
    status, no_agent = None, None
    if not pre:
        try:
            status = AdminClient(socket).status()
        except IktoError as error:
            no_agent = error
    async with checked_node(config, status=status, no_agent=no_agent, before_start=pre) as subject:
        async for result in run_checks(subject, all_checks(subject)):
            yield result


def _of_configuration(problem: IktoError) -> Result:
    finding = msgspec.structs.replace(failure(problem), page=PAGE_OF_CONFIGURATION)
    return Result(category=Category.HOST, check=CONFIGURATION, finding=finding)


def _nothing(_: Result) -> None:
    """Show nothing: JSON is printed at the end."""


class _Printer:
    """Prints results as they come, under the heading of their category."""

    def __init__(self, shown: Progress) -> None:
        self._progress = shown
        self._category: Category | None = None

    def show(self, result: Result) -> None:
        self._progress.clear()
        if result.category is not self._category:
            click.secho(("\n" if self._category else "") + result.category.value, bold=True)
            self._category = result.category
        finding = result.finding
        mark = mark_text(finding.level, sys.stdout)
        indent = len("  ") + len(click.unstyle(mark)) + len(" ")
        click.echo(f"  {mark} {fitted(printable(f'{result.check}: {finding.text}'), indent)}")
        if finding.level in (Level.WARNING, Level.ERROR):
            for label, text in (("fix", finding.fix), ("see", _page(finding.page))):
                if text:
                    click.echo(f"      {label}: {fitted(printable(text), len('      fix: '))}")


def _page(page: str) -> str:
    return page if "://" in page or not page else f"{DOCS}{page}"


def _summary(results: list[Result]) -> str:
    counts = {level: sum(result.finding.level is level for result in results) for level in Level}
    errors, warnings = counts[Level.ERROR], counts[Level.WARNING]
    parts = [f"{errors} error{'s' * (errors != 1)}", f"{warnings} warning{'s' * (warnings != 1)}"]
    return f"{', '.join(parts)}, {counts[Level.OK]} ok, {counts[Level.SKIPPED]} not checked"


def _document(results: list[Result]) -> dict[str, object]:
    findings = [
        {"category": result.category.value.lower(), "check": result.check}
        | msgspec.to_builtins(result.finding)
        | {"page": _page(result.finding.page)}
        for result in results
    ]
    level = worst(results)
    return {"ok": level is not Level.ERROR, "level": level.value, "findings": findings}
