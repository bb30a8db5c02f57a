"""Runs the agent of `ikto agent`, with all that it imports, which the help of the command does not need."""

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals, signal
from threading import Timer

import msgspec
import structlog

from ikto_core.admin.socket_paths import DEFAULT_SOCKET, fallback_socket
from ikto_core.agent.agent import run_agent
from ikto_core.agent.from_config import observer_context
from ikto_core.agent.options import AgentOptions
from ikto_core.cli.deprecation_log import deprecations_told
from ikto_core.cli.logs import log_to_stderr
from ikto_core.cli.reload import Reload
from ikto_core.config import Config, environ_warnings, file_warnings, load_config
from ikto_core.disk.key_file import load_private_key
from ikto_core.errors import IktoError
from ikto_core.observers.runner import observer_runs
from ikto_core.plugins.facade import Plugins
from ikto_core.plugins.loading import load_plugins
from ikto_core.values.text import printable

STOP_LIMIT_S = 15.0
"""How long the end may take: to close observers, calls of the backend and the backend itself has limits of seconds."""

log = structlog.get_logger(__name__)


def run(
    config_path: Path, socket: Path | None, overrides: Mapping[str, str], early: dict[Signals, bool], *, log_json: bool
) -> None:
    """Run an agent until it is stopped.

    Args:
        config_path: The configuration file.
        socket: The admin socket; None: the default.
        overrides: Settings that take the place of those in the file.
        early: As of `early_signals`.
        log_json: Log one JSON object per line.

    """

    def load(warn: Callable[[str], None] = lambda _: None) -> Config:
        return load_config(config_path, environ=os.environ, overrides=overrides, warn=warn)

    log_to_stderr(overrides.get("log_level", "info"), as_json=log_json)
    config = load(_warn)
    for line in file_warnings(config):
        _warn(line)
    log_to_stderr(config.log_level, as_json=log_json)
    for warning in environ_warnings(os.environ):
        log.warning("variable ignored", reason=printable(warning))
    private_key = load_private_key(Path(config.private_key_path))
    with deprecations_told(_warn_of_deprecated):
        options = _options(config, socket, load_plugins(blocked=config.blocked_plugins, settings=config.plugins))
        reload = Reload(config, load, options.live, lambda level: log_to_stderr(level, as_json=log_json))
        gc.freeze()  # what was imported stays: no collection looks at it again
        with suppress(asyncio.CancelledError):  # stopped by a signal
            asyncio.run(_until_stopped(run_agent(options, private_key), reload.run, early))


def _options(config: Config, socket: Path | None, plugins: Plugins) -> AgentOptions:
    """Return what the agent runs with. Logs plugins that can't be used; raises the first error of their settings."""
    options = AgentOptions(
        config=config,
        backend=plugins.backend(config.backend),
        ipam=plugins.ipam(config.ipam),
        observers=observer_runs(config.observers, observer_context(config), plugins.observer),
        key_path=Path(config.private_key_path),
        socket=socket or DEFAULT_SOCKET,
        fallback_socket=None if socket else fallback_socket(),
        service_manager=True,
    )
    _warn_of_unusable(plugins)
    for error in plugins.settings_problems():
        raise error
    return options


def _warn(line: str) -> None:
    log.warning("configuration accepted as by 0.3.0", reason=printable(line))


def _warn_of_unusable(plugins: Plugins) -> None:
    """Log what is unusable among the plugins that were imported, and each name that more than one of them claims."""
    for row in plugins.problems(imported_only=True):
        found = {name: value for name, value in msgspec.to_builtins(row).items() if value != ()}
        fields = {
            name: printable(value if isinstance(value, str) else ", ".join(value)) for name, value in found.items()
        }
        log.warning("plugin unusable", **fields)


def _warn_of_deprecated(use: str) -> None:
    log.warning("plugin uses what a later version removes", use=printable(use))


async def _until_stopped(
    running: Coroutine[None, None, None], reread: Callable[[], None], early: dict[Signals, bool]
) -> None:
    """Await `running`; SIGTERM and SIGINT cancel it, SIGHUP calls `reread`, SIGUSR1 and SIGUSR2 are only logged.

    `early`: as of `early_signals`. What has come before takes effect now.

    The process ends STOP_LIMIT_S later at the latest, even if a thread of the backend is blocked in the kernel: without
    that, asyncio and the interpreter would wait for the thread.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop() -> None:
        loop.call_later(STOP_LIMIT_S, _exit, 0)
        if task:
            task.cancel()

    for number in (SIGTERM, SIGINT):
        loop.add_signal_handler(number, stop)
        signal(number, _end_even_if_blocked)  # besides: the loop is told by a file descriptor
    for number in tuple(early):
        act = reread if number is SIGHUP else partial(_ignore, number)
        loop.add_signal_handler(number, act)
        if early[number]:
            act()
    try:
        await running
    except IktoError as error:
        loop.call_later(STOP_LIMIT_S, _exit, error.exit_code, error)
        raise


def _end_even_if_blocked(_number: int, _frame: object) -> None:
    """End the process a little after STOP_LIMIT_S if it is still there: a plugin may block the event loop itself."""
    timer = Timer(STOP_LIMIT_S * 1.1, _exit, (0,))
    timer.daemon = True
    timer.start()


def _ignore(number: Signals) -> None:
    log.info("signal has no meaning, ignoring it", signal=number.name)


def _exit(code: int, error: IktoError | None = None) -> None:
    """End the process now, without waiting for threads and tasks."""
    reason, hint = (str(error), error.hint) if error else (None, None)
    log.error("did not stop in time, ending now", limit_s=STOP_LIMIT_S, error=reason, hint=hint)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
