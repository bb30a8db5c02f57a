"""From what was given for the members to a `Config`, or to every problem there is."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ikto_core.config.kinds import SETTINGS, Kind
from ikto_core.config.model import Config
from ikto_core.config.rules import RULES, Fault
from ikto_core.config.types import BetterValueError
from ikto_core.errors import ConfigError

_UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters and halves of characters


class Given(NamedTuple):
    """A value for a member, and where it came from."""

    value: object  # a JSON value; if `is_text`, a str that stands for one of the member's kind
    origin: str  # as in "in /etc/ikto.json"
    is_text: bool = False


def make_config(given: Mapping[str, Given], *, problems: tuple[str, ...] = ()) -> Config:
    """Return the configuration that known members make; ConfigError with `problems` and every other one found."""
    faults = [fault for member in given for fault in _faults_of(member, given[member])]
    unsound = {fault.member for fault in faults}
    values: dict[str, Any] = {
        member: SETTINGS[member].convert(value, is_text=is_text)
        for member, (value, _, is_text) in given.items()
        if member not in unsound
    }
    config = Config(**values)
    faults += [fault for rule in RULES if not rule.members & unsound for fault in rule.faults(config)]
    problems += tuple(_problem(fault, given) for fault in _in_order(faults))
    if problems:
        message = problems[0] if len(problems) == 1 else f"the configuration has {len(problems)} problems"
        raise ConfigError(message, problems=problems)
    return config


def _in_order(faults: list[Fault]) -> list[Fault]:
    order = list(SETTINGS)
    return sorted(faults, key=lambda fault: order.index(fault.member))


def _problem(fault: Fault, given: Mapping[str, Given]) -> str:
    origin = given[fault.member].origin if fault.member in given else "the default"
    return f"{fault.member}: {fault.wrong} ({origin}); {fault.advice}"


def _faults_of(member: str, given: Given) -> Iterator[Fault]:
    """Yield what keeps a value from being of its member's kind; in a list, what is wrong with each item."""
    kind = SETTINGS[member]
    value = kind.split(given.value) if given.is_text and isinstance(given.value, str) else given.value
    faults = []
    if kind.item and isinstance(value, list):
        faults = [fault for item in value if (fault := _fault_in(member, item, kind.item, is_text=given.is_text))]
    if not faults and (fault := _fault_in(member, value, kind, is_text=given.is_text)):
        faults = [fault]
    yield from faults


def _fault_in(member: str, value: object, kind: Kind, *, is_text: bool) -> Fault | None:
    form = kind.form
    if isinstance(value, str) and _UNWRITABLE.search(value):
        return Fault(member, f"{form.show(value)} has a control character", f"give {form.right}")
    try:
        kind.convert(value, is_text=is_text)
    except BetterValueError as error:
        return Fault(member, f"{form.show(value)} is not {form.noun}", f"give {error}")
    except ValueError:
        return Fault(member, f"{form.show(value)} is not {form.noun}", f"give {form.right}")
    return None
