"""Checking and converting the given settings: the result is a `Config`, or a ConfigError with every problem."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ikto_core.config.kinds import SETTINGS, Kind
from ikto_core.config.leniency import usual_value
from ikto_core.config.model import Config
from ikto_core.config.rules import RULES, WARNINGS, Fault
from ikto_core.config.value_checks import BetterValueError
from ikto_core.errors import ConfigError

_UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters and lone surrogates


class Given(NamedTuple):
    """A setting's value before checks and conversion, and its source."""

    value: object  # a JSON value; if `is_text`, a str to convert to the setting's type
    origin: str  # as in "in /etc/ikto.json"
    is_text: bool = False


Warn = Callable[[str], object]
"""Is given a line for each thing that is accepted, and would be better written in another way."""


def ignore(_line: str) -> None:
    """Take a warning and do nothing."""


def make_config(given: Mapping[str, Given], *, problems: tuple[str, ...] = (), warn: Warn = ignore) -> Config:
    """Return the configuration made of known settings. Raises ConfigError with `problems` and every other one found."""
    given = {setting: _usual(setting, value, warn) for setting, value in given.items()}
    faults = [fault for setting in given for fault in _check_setting(setting, given[setting])]
    invalid = {fault.setting for fault in faults}
    values: dict[str, Any] = {
        setting: SETTINGS[setting].convert(value, is_text=is_text)
        for setting, (value, _, is_text) in given.items()
        if setting not in invalid
    }
    config = Config(**values)
    faults += [fault for rule in RULES if not rule.settings & invalid for fault in rule.faults(config)]
    problems += tuple(_describe(fault, given) for fault in _in_order(faults))
    if problems:
        message = problems[0] if len(problems) == 1 else f"the configuration has {len(problems)} problems"
        raise ConfigError(message, problems=problems)
    for fault in (fault for rule in WARNINGS for fault in rule.faults(config)):
        warn(_describe(fault, given))
    return config


def _usual(setting: str, given: Given, warn: Warn) -> Given:
    """Return a setting's value in its usual form; warn if it has another."""
    usual = usual_value(setting, given.value)
    if usual == given.value:
        return given
    show = SETTINGS[setting].info.show
    warn(f"{setting}: {show(given.value)} is read as {show(usual)} ({given.origin}); write that")
    return given._replace(value=usual)


def _in_order(faults: list[Fault]) -> list[Fault]:
    order = list(SETTINGS)
    return sorted(faults, key=lambda fault: order.index(fault.setting))


def _describe(fault: Fault, given: Mapping[str, Given]) -> str:
    origin = given[fault.setting].origin if fault.setting in given else "the default"
    return f"{fault.setting}: {fault.wrong} ({origin}); {fault.advice}"


def _check_setting(setting: str, given: Given) -> Iterator[Fault]:
    """Yield why a value is not valid for its setting; for a list, what is wrong with each item."""
    kind = SETTINGS[setting]
    value = kind.split(given.value) if given.is_text and isinstance(given.value, str) else given.value
    faults = []
    if kind.item and isinstance(value, list):
        faults = [fault for item in value if (fault := _check_value(setting, item, kind.item, is_text=given.is_text))]
    if not faults and (fault := _check_value(setting, value, kind, is_text=given.is_text)):
        faults = [fault]
    yield from faults


def _check_value(setting: str, value: object, kind: Kind, *, is_text: bool) -> Fault | None:
    info = kind.info
    if isinstance(value, str) and _UNWRITABLE.search(value):
        return Fault(setting, f"{info.show(value)} has a control character", f"give {info.right}")
    try:
        kind.convert(value, is_text=is_text)
    except BetterValueError as error:
        return Fault(setting, f"{info.show(value)} is not {info.noun}", f"give {error}")
    except ValueError:
        return Fault(setting, f"{info.show(value)} is not {info.noun}", f"give {info.right}")
    return None
