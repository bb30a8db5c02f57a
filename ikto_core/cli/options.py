"""Options shared by several commands."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from ikto_core.admin.socket_paths import DEFAULT_SOCKET, SOCKET_VARIABLE
from ikto_core.disk.runtime_dir import SYSTEM_RUNTIME_DIR

Command = TypeVar("Command", bound=Callable[..., object])

_FLAGS_OF_0_3_0 = {
    "mesh_cidr": ("-m", "--mesh-ip-net"),
    "subnet_prefix": ("-p", "--subnet-prefix-length"),
}
"""The flags of Ikto 0.3.0, accepted beside the one named after the setting."""

DEFAULT_CONFIG = Path("/etc/ikto/config.json")

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    default=DEFAULT_CONFIG,
    show_default=True,
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),
    help="The configuration file.",
)


def optional_config(help_text: str) -> Callable[[Command], Command]:
    """Return the option `-c FILE` of a command that can do without a configuration."""
    path = click.Path(path_type=Path, readable=False)
    return click.option("-c", "--config", "config_path", metavar="FILE", type=path, help=help_text)


def _socket_of_environment(_context: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    """Return the path that is given, else the variable's. With click's `envvar` it would precede a default_map."""
    from_environment = os.environ.get(SOCKET_VARIABLE)
    return path or (Path(from_environment) if from_environment else None)


socket_option = click.option(
    "-s",
    "--socket",
    metavar="PATH",
    type=click.Path(path_type=Path, readable=False),
    callback=_socket_of_environment,
    help=f"The agent's unix socket.  [default: ${SOCKET_VARIABLE}; else {SYSTEM_RUNTIME_DIR}/ikto.sock if an agent "
    f"listens there, or {DEFAULT_SOCKET}]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(("table", "wide", "json")),
    default="table",
    show_default=True,
    help="Format. wide: whole keys and every column, whatever the width of the terminal.",
)


def setting_options(*names: str) -> Callable[[Command], Command]:
    """Give a command one option for each of these settings; without names, for all settings.

    The command gets each value as text, or None if the option is not given. `load_config` checks the values;
    `given_settings` turns them into its `overrides`.
    """
    import msgspec  # noqa: PLC0415 - start-up time of the commands without such an option

    from ikto_core.config import SETTINGS, Config  # noqa: PLC0415 - as above

    defaults = {field.name: field.default for field in msgspec.structs.fields(Config)}

    def decorate(command: Command) -> Command:
        for name in reversed(names or tuple(SETTINGS)):
            command = _setting_option(name, defaults[name], SETTINGS[name].description)(command)
        return command

    return decorate


def given_settings(settings: dict[str, str | None]) -> dict[str, str]:
    """Return the settings that are given on the command line."""
    return {name: text for name, text in settings.items() if text is not None}


def _setting_option(name: str, default: object, description: str) -> Callable[[Command], Command]:
    flags = (*_FLAGS_OF_0_3_0.get(name, ()), "--" + name.replace("_", "-"))
    note = f"  [default: {default}]" if isinstance(default, int | str) and default not in ("", False) else ""
    return click.option(*flags, name, metavar="TEXT", help=description + note)


def not_empty(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    """Return a text that names a node. Raises UsageError if it is empty, as an unset variable of a script is."""
    if text is not None and not text.strip():
        raise click.UsageError("the name is empty: give a name, subnet, address or public key")
    return text
