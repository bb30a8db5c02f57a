"""How this host takes part in its mesh: the file of Ikto 0.3.0, members of our own, and whatever overrides them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ikto_core.config.checking import Given, make_config
from ikto_core.config.kinds import SETTINGS
from ikto_core.config.model import Config
from ikto_core.config.sources import Source, from_environ, from_file, from_flags, from_program
from ikto_core.config.types import AUTO

__all__ = ["SETTINGS", "Config", "blocked_plugins", "config_from_flags", "config_of", "config_schema", "load_config"]


def load_config(path: Path | None, *, environ: Mapping[str, str], overrides: Mapping[str, str]) -> Config:
    """Return the checked configuration: flags come before the environment, that before the file.

    Args:
        path: The JSON file; None: there is none.
        environ: Environment variables; those named `IKTO_<MEMBER>` are read.
        overrides: Text by member's name, from the command line.

    Raises:
        ConfigError: With every problem found, each with its member, its origin and what would be right. A value
            that a higher source overrides is not looked at.

    """
    sources = (from_file(path) if path else Source(), from_environ(environ), from_flags(overrides))
    given = {member: value for source in sources for member, value in source.items()}
    return make_config(given, problems=tuple(problem for source in sources for problem in source.problems))


def config_from_flags(overrides: Mapping[str, str]) -> Config:
    """Return the checked configuration that flags alone make; ConfigError with every problem found."""
    source = from_flags(overrides)
    return make_config(source, problems=source.problems)


def blocked_plugins(path: Path | None, *, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return which plugins are off, whatever the other members are; ConfigError if this one can't be had."""
    sources = (from_file(path) if path else Source(), from_environ(environ))
    given = {member: value for source in sources for member, value in source.items() if member == "blocked_plugins"}
    return make_config({"private_address": Given(AUTO, ""), **given}).blocked_plugins  # which has no default


def config_of(**members: object) -> Config:
    """Return the checked configuration that a program gives, member by member; ConfigError with every problem found."""
    source = from_program(members)
    return make_config(source, problems=source.problems)


def config_schema() -> dict[str, Any]:
    """Return the configuration's JSON Schema, with a description of each member."""
    schema = msgspec.json.schema(Config)
    schema["$defs"]["Config"] |= {
        "description": "How a host takes part in an Ikto mesh.",
        "required": ["private_address"],  # its default is the one value that is refused
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
