"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from ikto_core.config import SETTINGS, Config

Command = TypeVar("Command", bound=Callable[..., object])

_SHORT = {
    "mesh_cidr": ("-m", "--mesh-ip-net"),
    "subnet_prefix": ("-p", "--subnet-prefix-length"),
}
"""What Ikto 0.3.0 calls an option, beside the member's own name."""

_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Config)}

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The configuration file.",
)
socket_option = click.option(
    "-s",
    "--socket",
    default="/tmp/ikto.sock",  # noqa: S108 - the default of 0.3.0; the agent makes it 0600 and refuses what is not its own
    show_default=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="The agent's unix socket.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def member_options(*names: str) -> Callable[[Command], Command]:
    """Give a command an option for each of these members; without names, for all.

    The command gets each as text, or as None where it is not given: the configuration's own checks tell what is
    wrong with it. `given_members` makes the `overrides` of `load_config` of them.
    """

    def decorate(command: Command) -> Command:
        for name in reversed(names or tuple(SETTINGS)):
            command = _member_option(name)(command)
        return command

    return decorate


def given_members(members: dict[str, str | None]) -> dict[str, str]:
    """Return the members that the command line gives."""
    return {name: text for name, text in members.items() if text is not None}


def _member_option(name: str) -> Callable[[Command], Command]:
    flags = (*_SHORT.get(name, ()), "--" + name.replace("_", "-"))
    default = _DEFAULTS[name]
    note = f"  [default: {default}]" if isinstance(default, int | str) and default not in ("", False) else ""
    return click.option(*flags, name, metavar="TEXT", help=SETTINGS[name].description + note)
