"""`ikto agent`: run this node's agent in the foreground."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIG_DFL, SIGHUP, SIGUSR1, SIGUSR2, Signals, getsignal, signal

import click

from ikto_core.cli.examples import examples
from ikto_core.cli.lean_imports import lean_imports
from ikto_core.cli.options import config_option, given_settings, setting_options, socket_option
from ikto_core.config.types import LEVELS


@click.command(
    epilog=examples(
        "ikto agent",
        "ikto agent -c node-a.json -s /run/ikto/node-a.sock --log-json",
        "ikto agent --backend fake --log-level debug",
    )
)
@config_option
@socket_option
@setting_options("backend", "ipam", "state_dir")
@click.option("--log-level", type=click.Choice(LEVELS), help="Lowest level to log.  [default: info]")
@click.option("--log-json", is_flag=True, help="Log one JSON object per line.")
def agent(config_path: Path, socket: Path | None, log_json: bool, **settings: str | None) -> None:
    """Claim a subnet, follow the bucket, and keep the WireGuard device in sync with it.

    Runs until SIGTERM or SIGINT. The device and this node's record are left in place.
    """
    with _early_signals() as early:
        with lean_imports():
            from ikto_core.cli.agent_run import run  # noqa: PLC0415 - start-up time of `--help`, and memory

        run(config_path, socket, given_settings(settings), early, log_json=log_json)


@contextmanager
def _early_signals() -> Iterator[dict[Signals, bool]]:
    """Note the signals that must not end an agent that still starts; yield those, and whether each has come."""
    came: dict[Signals, bool] = {}

    def note(number: int, _frame: object) -> None:
        came[Signals(number)] = True

    before = {number: getsignal(number) for number in (SIGHUP, SIGUSR1, SIGUSR2)}
    for number, handler in before.items():
        if number is SIGHUP or handler == SIG_DFL:  # a program around this command may have a handler of its own
            came[number] = False
            signal(number, note)
    try:
        yield came
    finally:
        for number in came:
            signal(number, before[number] or SIG_DFL)
