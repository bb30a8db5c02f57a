"""Settings of plugins: a record of the plugin gives names and types, the configuration gives values. Pure."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec import structs

from ikto_core.device.backend import BackendPlugin
from ikto_core.errors import ConfigError
from ikto_core.ipam.contract import IpamPlugin, IpamRequest, IpamStrategy
from ikto_core.observers.contract import ObserverPlugin
from ikto_core.plugins.check_contract import CheckPlugin
from ikto_core.values.addressing import Prefix

P = TypeVar("P", BackendPlugin, IpamPlugin, ObserverPlugin, CheckPlugin)
C = TypeVar("C", bound=msgspec.Struct)
R = TypeVar("R")


def with_settings(plugin: P, given: Mapping[str, object], provider: str = "") -> P:
    """Return a plugin's record that is called with settings: what is called finds them as `settings` in its argument.

    Args:
        plugin: The record; without `settings` it is returned as it is, and `given` must be empty.
        given: The values, as in the configuration.
        provider: For messages: the distribution.

    Raises:
        ConfigError: With every value that is missing, unknown, or of another type.

    """
    if plugin.settings is None:
        if given:
            raise ConfigError(f"plugins.{plugin.name}: {_named(plugin, provider)} takes no settings", hint="remove it")
        return plugin
    settings = _converted(plugin.name, plugin.settings, given, _named(plugin, provider))
    if isinstance(plugin, IpamPlugin):
        return structs.replace(plugin, make=partial(_StrategyWithSettings, plugin.make, settings))
    if isinstance(plugin, CheckPlugin):
        return structs.replace(plugin, run=partial(_call, plugin.run, settings))
    return structs.replace(plugin, open=partial(_call, plugin.open, settings))


def settings_schema(settings: type[msgspec.Struct], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the JSON Schema of a plugin's settings, and the definitions that it refers to, by their names."""
    prefix = f"plugins.{name}."
    (schema,), found = msgspec.json.schema_components([settings], ref_template=f"#/$defs/{prefix}{{name}}")
    return schema, {prefix + each: definition for each, definition in found.items()}


def _call(function: Callable[[C], R], settings: object, context: C) -> R:
    return function(structs.replace(context, settings=settings))


class _StrategyWithSettings:
    """A strategy that finds its settings in each request."""

    def __init__(self, make: Callable[[], IpamStrategy], settings: object) -> None:
        self._strategy, self._settings = make(), settings

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        yield from self._strategy.candidates(structs.replace(request, settings=self._settings))


def _converted(name: str, settings: type[msgspec.Struct], given: Mapping[str, object], whose: str) -> msgspec.Struct:
    fields = {field.encode_name: field for field in structs.fields(settings)}
    problems = [
        *(f"plugins.{name}.{each}: {why}" for each in given if (why := _problem(each, given[each], fields))),
        *(
            f"plugins.{name}.{each}: is missing; give {_type_name(field)}"
            for each, field in fields.items()
            if field.required and each not in given
        ),
    ]
    if not problems:
        try:
            return msgspec.convert(given, settings)
        except (msgspec.ValidationError, ValueError) as error:  # what the record checks as a whole
            problems = [f"plugins.{name}: {_one_line(error)}"]
    problems = [f"{each} ({whose})" for each in problems]
    message = problems[0] if len(problems) == 1 else f"the settings of {whose} have {len(problems)} problems"
    raise ConfigError(message, problems=tuple(problems))


def _problem(name: str, value: object, fields: Mapping[str, structs.FieldInfo]) -> str:
    """Return what is wrong with one setting; empty if nothing is."""
    if name not in fields:
        near = get_close_matches(name, fields, n=1)
        known = f"did you mean {near[0]}?" if near else f"it has {', '.join(fields) or 'none'}"
        return f"is not a setting of this plugin; {known}"
    try:
        msgspec.convert(value, fields[name].type)
    except (msgspec.ValidationError, ValueError) as error:
        return _one_line(error)
    return ""


def _one_line(error: Exception) -> str:
    """Return msgspec's words, or a check's own, as the end of a message; they name types, and no value."""
    text = " ".join(str(error).replace("`", "").split())
    return text[:1].lower() + text[1:]


def _type_name(field: structs.FieldInfo) -> str:
    """Return msgspec's word for the type of a setting: what it says of a value that has no JSON type."""
    try:
        msgspec.convert(object(), field.type)
    except msgspec.ValidationError as error:
        return str(error).split("`")[1] if "`" in str(error) else "a value"
    return "a value"


def _named(plugin: BackendPlugin | IpamPlugin | ObserverPlugin | CheckPlugin, provider: str) -> str:
    kind = type(plugin).__name__.removesuffix("Plugin").lower()
    return f"{kind} {plugin.name!r}" + (f" of {provider}" if provider else "")
