"""A node to check, and the findings of one check about it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ikto_core.admin.views import StatusView
from ikto_core.cli.checked_node import checked_node
from ikto_core.config import config_of
from ikto_core.diagnosis.all_checks import all_checks
from ikto_core.diagnosis.checks import run_checks
from ikto_core.diagnosis.subject import Subject
from ikto_core.disk.key_file import write_private_key
from ikto_core.errors import IktoError
from ikto_core.plugins.check_contract import Finding, Level
from ikto_core.values.keys import PrivateKey


def node_to_check(
    directory: Path,
    *,
    key: PrivateKey | None = None,
    status: StatusView | None = None,
    no_agent: IktoError | None = None,
    before_start: bool = False,
    **settings: Any,
) -> Subject:
    """Return a node with its files in a directory."""
    path = directory / "key"
    if not path.exists():
        write_private_key(path, key or PrivateKey.generate())
    base = {
        "name": "node-a",
        "private_address": "fd10:1::1",
        "backend": "fake",
        "private_key_path": str(path),
        "state_dir": str(directory / "state"),
    }
    return checked_node(config_of(**(base | settings)), status=status, no_agent=no_agent, before_start=before_start)


async def findings_of(subject: Subject, name: str) -> list[Finding]:
    """Run one check, by its name."""
    (check,) = [check for check in all_checks(subject) if check.name == name]
    async with subject:
        found = [result.finding async for result in run_checks(subject, [check])]
    assert all(finding.fix for finding in found if finding.level in (Level.WARNING, Level.ERROR)), found
    return found


async def only_finding(subject: Subject, name: str) -> Finding:
    """Run one check that has one finding."""
    (found,) = await findings_of(subject, name)
    return found


def levels(findings: Sequence[Finding]) -> list[str]:
    return [finding.level.value for finding in findings]


def write_state(directory: Path, **state: object) -> None:
    """Write the state file of `node_to_check`."""
    path = directory / "state" / "state.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"version": 1} | state))
