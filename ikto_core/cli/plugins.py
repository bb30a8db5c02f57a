"""`ikto plugins`: list the installed plugins, their distributions and their status."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from ikto_core.cli.examples import examples
from ikto_core.cli.options import optional_config
from ikto_core.cli.printing import printable
from ikto_core.config import blocked_plugins
from ikto_core.plugins.facade import PluginStatus
from ikto_core.plugins.loading import load_plugins

_COLUMNS = PluginStatus.__struct_fields__
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
    available; or blocked, by the configuration or by IKTO_BLOCKED_PLUGINS in the environment.
    """
    statuses = load_plugins(blocked=blocked_plugins(config_path, environ=os.environ)).listing()
    if as_json:
        click.echo(_json(statuses))
        return
    rows = [{column: printable(getattr(status, column)) for column in _COLUMNS} for status in statuses]
    if sys.stdout.isatty():
        _print_table(rows)
    else:
        click.echo(_aligned(rows))


def _json(statuses: Sequence[PluginStatus]) -> str:
    """Return ASCII JSON, in which control characters are escaped. msgspec would write UTF-8."""
    return json.dumps([msgspec.to_builtins(status) for status in statuses], indent=2)


def _aligned(rows: Sequence[dict[str, str]]) -> str:
    lines = [[column.upper() for column in _COLUMNS], *(list(row.values()) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _print_table(rows: Sequence[dict[str, str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - start-up time: only a terminal needs it
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(*_COLUMNS, box=None, header_style="bold")
    for row in rows:  # Text: rich must not read markup in foreign text
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row.values()))
    Console().print(table)
