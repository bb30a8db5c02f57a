"""Options shared by several commands."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from ikto_core.config import SETTINGS, Config

Command = TypeVar("Command", bound=Callable[..., object])

_FLAGS_OF_0_3_0 = {
    "mesh_cidr": ("-m", "--mesh-ip-net"),
    "subnet_prefix": ("-p", "--subnet-prefix-length"),
}
"""The flags of Ikto 0.3.0, accepted beside the one named after the setting."""

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
    default="/tmp/ikto.sock",  # noqa: S108 - the default of 0.3.0; the agent creates it with mode 0600
    show_default=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="The agent's unix socket.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def setting_options(*names: str) -> Callable[[Command], Command]:
    """Give a command one option for each of these settings; without names, for all settings.

    The command gets each value as text, or None if the option is not given. `load_config` checks the values;
    `given_settings` turns them into its `overrides`.
    """

    def decorate(command: Command) -> Command:
        for name in reversed(names or tuple(SETTINGS)):
            command = _setting_option(name)(command)
        return command

    return decorate


def given_settings(settings: dict[str, str | None]) -> dict[str, str]:
    """Return the settings that are given on the command line."""
    return {name: text for name, text in settings.items() if text is not None}


def _setting_option(name: str) -> Callable[[Command], Command]:
    flags = (*_FLAGS_OF_0_3_0.get(name, ()), "--" + name.replace("_", "-"))
    default = _DEFAULTS[name]
    note = f"  [default: {default}]" if isinstance(default, int | str) and default not in ("", False) else ""
    return click.option(*flags, name, metavar="TEXT", help=SETTINGS[name].description + note)
