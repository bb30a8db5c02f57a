"""`ikto leave`: take this node out of the mesh; `ikto down`: remove its device and keep its claim."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click

from ikto_core.admin.leave_views import LeaveStep, LeaveView
from ikto_core.cli.durations import seconds_given
from ikto_core.cli.examples import examples
from ikto_core.cli.logs import log_to_stderr
from ikto_core.cli.options import optional_config, socket_option
from ikto_core.cli.progress import Progress, progress
from ikto_core.client import AdminClient
from ikto_core.config import Config, load_config
from ikto_core.disk.key_file import load_private_key
from ikto_core.errors import BackendError, IktoError, NatsError, NoAgentError
from ikto_core.values.keys import PrivateKey

ASK_EVERY_S = 0.2
SILENT_S = 30.0
"""After this long without an answer the agent is given up."""

ENDS_WITHIN_S = 20.0
"""How long an agent may take to end after it has said that all is done."""

config_of_node = optional_config("The node's configuration; needed where no agent runs.")


@click.command(epilog=examples("ikto leave", "ikto leave --drain 30s --forget"))
@config_of_node
@socket_option
@click.option(
    "--drain", callback=seconds_given, default="0s", metavar="TIME", help="First give peers this long, such as 30s."
)
@click.option("--forget", is_flag=True, help="Forget the claim too: a later start claims as if for the first time.")
def leave(config_path: Path | None, socket: Path | None, *, drain: float, forget: bool) -> None:
    """Leave the mesh: withdraw this node's record, wait until NATS has acknowledged that, remove the device.

    The agent ends, and systemd does not start it again (exit code 9). Where none runs, -c FILE says what to withdraw.
    """
    config = _end_agent(config_path, socket, lambda agent: agent.leave(drain_s=drain, forget=forget))
    if config is None:
        click.echo("left the mesh: the record is withdrawn, the device removed, the agent ended")
        return
    _alone(config, withdraw=True, forget=forget)
    click.echo("left the mesh: the record is withdrawn and the device removed; no agent was running")


@click.command(epilog=examples("ikto down"))
@config_of_node
@socket_option
def down(config_path: Path | None, socket: Path | None) -> None:
    """Remove the device and end the agent, as `wg-quick down` does; record and claim stay, and so does the address.

    systemd does not start the agent again (exit code 9); `systemctl start ikto` brings the node back. Where no agent
    runs, -c FILE says which device to remove.
    """
    config = _end_agent(config_path, socket, AdminClient.down)
    if config is None:
        click.echo("the device is removed and the agent ended; record and claim stay")
        return
    _alone(config, withdraw=False, forget=False)
    click.echo("the device is removed; record and claim stay, and no agent was running")


def _end_agent(
    config_path: Path | None, socket: Path | None, request: Callable[[AdminClient], LeaveView]
) -> Config | None:
    """Ask the agent to end and wait until it has; if none runs, return the configuration of the node.

    Raises IktoError if the agent does not end, or if none runs and no configuration is given.
    """
    client, config = _agent_of(config_path, socket)
    if client:
        try:
            view = request(client)
        except NoAgentError:
            return _required(config, socket)
        _follow(client, view)
        return None
    return _required(config, socket)


def _agent_of(config_path: Path | None, socket: Path | None) -> tuple[AdminClient | None, Config | None]:
    """Return a client of the agent to ask (None: it is another node's), and the configuration if one is given.

    Raises IktoError if the agent on a socket that is given is not the one of the configuration.
    """
    log_to_stderr("warning", as_json=False)
    client = AdminClient(socket)
    if config_path is None:
        return client, None
    config = load_config(config_path, environ=os.environ, overrides={})
    try:
        status = client.status()
    except NoAgentError:
        return client, config
    own_key = load_private_key(Path(config.private_key_path)).public().text
    if (status.ifname, status.public_key) == (config.wg_dev_name, own_key):
        return client, config
    if socket:
        message = f"the agent on {socket} is not the node of {config_path}: it has the device {status.ifname}"
        raise IktoError(message, hint="give the socket of that node's agent with -s")
    return None, config


def _required(config: Config | None, socket: Path | None) -> Config:
    if config is None:
        where = f" on {socket}" if socket else ""
        raise NoAgentError(f"no agent answers{where}", hint="give its socket with -s; if none runs, -c FILE")
    return config


def _follow(client: AdminClient, view: LeaveView) -> None:
    """Print the steps until the agent has ended. Raises IktoError if it did not leave."""
    with progress("ending the agent") as line:
        view = _followed(client, view, line)
    if view.failure:
        raise BackendError(f"the device was not removed: {view.failure}", hint=view.hint or "")


def _followed(client: AdminClient, view: LeaveView, line: Progress) -> LeaveView:
    """Return the last word of an agent that has ended."""
    shown = ""
    while view.step is not LeaveStep.DONE:
        if view.step is LeaveStep.FAILED:
            raise NatsError(f"the node is still in the mesh: {view.failure}", hint=view.hint or "")
        if view.step is LeaveStep.NONE:  # a new agent in the same process does not know of the request
            message = "the agent has begun anew, as after a key rotation, and is still in the mesh"
            raise IktoError(message, hint="repeat the command")
        if (text := _STEPS[view.step]) != shown:
            line.clear()
            click.echo(text + (f" until {view.until.astimezone():%H:%M:%S}" if view.until else ""))
        shown = text
        time.sleep(ASK_EVERY_S)
        view = _asked(client, shown)
    with suppress(IktoError):  # it closes its socket
        for _ in _pauses(ENDS_WITHIN_S):
            client.leaving()
    return view


def _asked(client: AdminClient, shown: str) -> LeaveView:
    """Return how far the agent is. Raises IktoError if it has ended, or does not answer for SILENT_S."""
    failure: IktoError = NoAgentError("")
    for _ in _pauses(SILENT_S):
        try:
            return client.leaving()
        except IktoError as error:
            failure = error
            if isinstance(error, NoAgentError):
                break
    hint = "look at its log; `ikto leave -c FILE` does what is left"
    raise IktoError(f"the agent ended before it was done (last: {shown})", hint=hint) from failure


_STEPS = {
    LeaveStep.DRAINING: "draining: peers are told",
    LeaveStep.WITHDRAWING: "withdrawing the record",
    LeaveStep.REMOVING: "removing the device",
}


def _pauses(limit_s: float) -> Iterator[None]:
    ends_at = time.monotonic() + limit_s
    while time.monotonic() < ends_at:
        yield
        time.sleep(ASK_EVERY_S)


def _alone(config: Config, *, withdraw: bool, forget: bool) -> None:
    """Do what an agent would, from the configuration."""
    from ikto_core.agent import without_agent  # noqa: PLC0415 - start-up time: most often an agent runs

    private_key: PrivateKey = load_private_key(Path(config.private_key_path))
    options = without_agent.options_of(config)
    if withdraw:
        asyncio.run(without_agent.leave_without_agent(options, private_key, forget=forget))
    else:
        asyncio.run(without_agent.down_without_agent(options, private_key))
