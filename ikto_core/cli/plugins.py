"""`ikto plugins`: list the installed plugins, their distributions and their status."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from ikto_core.cli.examples import examples
from ikto_core.cli.options import optional_config
from ikto_core.cli.tables import Row, Section, line, show
from ikto_core.config import blocked_plugins
from ikto_core.plugins.loading import load_plugins
from ikto_core.plugins.offers import PluginStatus

_COLUMNS = ("name", "kind", "distribution", "version", "status", "reason")
_COLOURS = {"ok": "green", "failed": "red", "conflict": "red", "blocked": "yellow"}


@click.command(
    epilog=examples(
        "ikto plugins",
        "ikto plugins -c /etc/ikto/config.json --json",
    )
)
@optional_config("Configuration file; the plugins in its `blocked_plugins` are listed as blocked.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
def plugins(config_path: Path | None, *, as_json: bool) -> None:
    """List the plugins: kind, name, distribution, version, status and reason.

    The status is ok; failed, with the reason; conflict: two distributions offer the same name, and neither is
    available; or blocked, by the configuration or by IKTO_BLOCKED_PLUGINS in the environment. The reason of one that
    is ok says what it uses that a later version removes.
    """
    statuses = load_plugins(blocked=blocked_plugins(config_path, environ=os.environ)).listing()
    if as_json:
        click.echo(_json(statuses))
        return
    show([Section("", [_row(status) for status in statuses], _COLUMNS, optional=(("version",), ("distribution",)))])


def _json(statuses: Sequence[PluginStatus]) -> str:
    """Return ASCII JSON, in which control characters are escaped. msgspec would write UTF-8."""
    return json.dumps([msgspec.to_builtins(status) for status in statuses], indent=2)


def _row(status: PluginStatus) -> Row:
    told = msgspec.structs.replace(status, reason=status.reason or "; ".join(status.deprecated))
    style = "yellow" if status.deprecated else _COLOURS.get(status.status, "")
    row = line(*(getattr(told, column) for column in _COLUMNS), style=style)
    return row._replace(styled=_COLUMNS.index("status"))
