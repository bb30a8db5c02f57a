"""The configuration: its settings, their checks, and the sources they are read from (file, environment, flags).

It must never know what the settings are used for: it opens no connection and looks at no device.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ikto_core.config.checking import Given, Warn, ignore, make_config
from ikto_core.config.files import file_problems, file_warnings
from ikto_core.config.kinds import SETTINGS
from ikto_core.config.live import LIVE_SETTINGS, changed_settings, with_live_settings
from ikto_core.config.model import Config
from ikto_core.config.sources import (
    Source,
    combined,
    environ_warnings,
    from_environ,
    from_file,
    from_flags,
    from_program,
)
from ikto_core.config.value_checks import AUTO

__all__ = [
    "LIVE_SETTINGS",
    "SETTINGS",
    "Config",
    "blocked_plugins",
    "changed_settings",
    "config_from_flags",
    "config_of",
    "config_schema",
    "environ_warnings",
    "file_problems",
    "file_warnings",
    "load_config",
    "with_live_settings",
]


def load_config(
    path: Path | None, *, environ: Mapping[str, str], overrides: Mapping[str, str], warn: Warn = ignore
) -> Config:
    """Return the checked configuration. Flags override the environment, which overrides the file.

    Args:
        path: The JSON file; None: no file.
        environ: Environment variables; those named `IKTO_<SETTING>` are read, unless they are empty.
        overrides: Text by setting's name, from the command line.
        warn: Called with a line for each thing that is accepted because Ikto 0.3.0 accepts it.

    Raises:
        ConfigError: With every problem found: the setting, what is wrong, the source of the value, and what to give
            instead. An overridden value is not checked.

    """
    sources = (from_file(path) if path else Source(), from_environ(environ), from_flags(overrides))
    given = combined(sources)
    for warning in (warning for source in sources for warning in source.warnings):
        warn(warning)
    return make_config(given, problems=tuple(problem for source in sources for problem in source.problems), warn=warn)


def config_from_flags(overrides: Mapping[str, str]) -> Config:
    """Return the checked configuration made of flags and defaults. Raises ConfigError with every problem found."""
    source = from_flags(overrides)
    return make_config(source, problems=source.problems)


def blocked_plugins(path: Path | None, *, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the setting `blocked_plugins`; other settings may be invalid. Raises ConfigError if this one is."""
    sources = (from_file(path) if path else Source(), from_environ(environ))
    given = {name: value for source in sources for name, value in source.items() if name == "blocked_plugins"}
    return make_config({"private_address": Given(AUTO, ""), **given}).blocked_plugins  # required


def config_of(**settings: object) -> Config:
    """Return the checked configuration made of keyword arguments. Raises ConfigError with every problem found."""
    source = from_program(settings)
    return make_config(source, problems=source.problems)


def config_schema() -> dict[str, Any]:
    """Return the configuration's JSON Schema, with a description of each setting."""
    schema = msgspec.json.schema(Config)
    schema["$defs"]["Config"] |= {
        "description": "Configuration of an Ikto node.",
        "required": ["private_address"],  # its default, "", is not a valid value
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
