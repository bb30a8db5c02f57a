"""`ikto config`: check a configuration, and print its JSON Schema."""

import json
import os
from pathlib import Path

import click

from ikto_core.cli.options import config_option, json_option
from ikto_core.cli.printing import printable
from ikto_core.config import config_schema, file_problems, load_config
from ikto_core.errors import ConfigError


@click.group()
def config() -> None:
    """Check a configuration, or print its JSON Schema."""


@config.command()
@config_option
@json_option
def check(config_path: Path, as_json: bool) -> int:
    """Report every invalid setting in a configuration file and in IKTO_* environment variables.

    The owner and mode of the files that it names are checked too, where they exist. Their content and the plugins are
    checked when an agent starts.
    """
    try:
        problems = file_problems(load_config(config_path, environ=os.environ, overrides={}))
        if problems and not as_json:
            raise ConfigError("the configuration names files that are not safe", problems=problems)
    except ConfigError as error:
        if not as_json:
            raise
        problems = error.problems or (str(error),)
    text = json.dumps({"ok": not problems, "problems": problems}) if as_json else printable(f"{config_path}: ok")
    click.echo(text)
    return ConfigError.exit_code if problems else 0


@config.command()
def schema() -> None:
    """Print the configuration's JSON Schema, for editors and validators."""
    click.echo(json.dumps(config_schema(), indent=2))
