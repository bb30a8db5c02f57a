"""The settings of plugins, as far as the configuration knows them: objects by a plugin's name. Pure.

A plugin describes its own settings, so their names and types are checked where it is loaded (`plugins/settings.py`).
"""

import json
import re
from collections.abc import Mapping
from typing import Any

PREFIX = "IKTO_PLUGINS__"
FORM = f"{PREFIX}NAME__SETTING"
_VARIABLE = re.compile(rf"{PREFIX}([A-Z0-9][A-Z0-9_]*?)__([A-Za-z0-9]\w*)", re.ASCII)


def is_variable(name: str) -> bool:
    """Whether a variable of the environment has the name of a plugin's setting."""
    return _VARIABLE.fullmatch(name) is not None


def from_variables(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the settings that variables such as `IKTO_PLUGINS__MY_CONF__DIRECTORY` give, by plugin.

    A plugin's name has `-` where the variable has `_`. An empty variable counts as not given.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, text in sorted(environ.items()):
        if text and (match := _VARIABLE.fullmatch(name)):
            plugin, setting = match[1].lower().replace("_", "-"), match[2].lower()
            found.setdefault(plugin, {})[setting] = value_of(text)
    return found


def value_of(text: str) -> object:
    """Return the value of a variable: what it is as JSON, or the text itself if it is no JSON."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def overlaid(below: object, above: Mapping[str, Mapping[str, Any]]) -> object:
    """Return `below` with each setting that `above` has; what is no object in `below` is left to be reported."""
    if not isinstance(below, Mapping):
        return below
    return dict(below) | {name: _members(below.get(name, {}), members) for name, members in above.items()}


def _members(below: object, above: Mapping[str, Any]) -> object:
    return {**below, **above} if isinstance(below, Mapping) else below


def names_only(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the names of the settings without their values, which may be secrets."""
    return {plugin: sorted(members) for plugin, members in settings.items()}


def _refuse_constant(name: str) -> object:
    raise ValueError(name)
