"""`ikto agent`: take part in the mesh."""

import asyncio
import os
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from signal import SIGINT, SIGTERM

import click
import msgspec
import structlog

from ikto_core.agent.agent import run_agent
from ikto_core.agent.options import AgentOptions
from ikto_core.cli.logs import LEVELS, log_to_stderr
from ikto_core.cli.options import config_option, given_members, member_options, socket_option
from ikto_core.cli.printing import printable
from ikto_core.config import load_config
from ikto_core.disk.key_file import load_private_key
from ikto_core.observers.runner import observer_runs
from ikto_core.plugins.facade import Plugins
from ikto_core.plugins.loading import load_plugins

log = structlog.get_logger(__name__)


@click.command()
@config_option
@socket_option
@member_options("backend", "ipam", "state_dir")
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True, help="What to log.")
@click.option("--log-json", is_flag=True, help="Log one JSON object a line.")
def agent(config_path: Path, socket: Path, log_level: str, log_json: bool, **members: str | None) -> None:
    """Claim a subnet, follow the bucket, and keep the WireGuard device equal to it.

    Runs until SIGTERM or SIGINT, and then leaves device and record in place.
    """
    log_to_stderr(log_level, as_json=log_json)
    config = load_config(config_path, environ=os.environ, overrides=given_members(members))
    private_key = load_private_key(Path(config.private_key_path))
    plugins = load_plugins(blocked=config.blocked_plugins)
    _warn_of(plugins)
    options = AgentOptions(
        config=config,
        backend=plugins.backend(config.backend),
        ipam=plugins.ipam(config.ipam),
        observers=observer_runs(config, plugins.observer),
        key_path=Path(config.private_key_path),
        socket=socket,
        service_manager=True,
    )
    with suppress(asyncio.CancelledError):  # stopped in order
        asyncio.run(_until_stopped(run_agent(options, private_key)))


def _warn_of(plugins: Plugins) -> None:
    """Log each plugin that can't be used, whoever asked for it: once, as plugins are loaded once."""
    for row in plugins.troubles():
        told = {name: printable(text) for name, text in msgspec.to_builtins(row).items()}
        log.warning("a plugin can't be used", **told)


async def _until_stopped(running: Coroutine[None, None, None]) -> None:
    """Await what runs; SIGTERM and SIGINT cancel it."""
    if task := asyncio.current_task():
        for number in (SIGTERM, SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await running
