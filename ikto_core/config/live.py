"""The settings that take effect while an agent runs; all others need a restart. Pure."""

from msgspec.structs import replace

from ikto_core.config.kinds import SETTINGS
from ikto_core.config.model import Config
from ikto_core.config.rules import RULES
from ikto_core.errors import ConfigError

LIVE_SETTINGS = ("advertise_address", "endpoints", "log_level")


def with_live_settings(running: Config, new: Config) -> Config:
    """Return `running` with the live settings of `new`. Raises ConfigError if they do not fit the others of `running`.

    As where `new` has another mesh_cidr, too.
    """
    merged = replace(running, **{name: getattr(new, name) for name in LIVE_SETTINGS})
    faults = [fault for rule in RULES for fault in rule.faults(merged)]
    if faults:
        problems = tuple(f"{fault.setting}: {fault.wrong} of the running agent; {fault.advice}" for fault in faults)
        raise ConfigError("; ".join(problems), hint="restart the agent", problems=problems)
    return merged


def changed_settings(before: Config, after: Config) -> tuple[str, ...]:
    """Return the names of the settings that differ, in the configuration's order."""
    return tuple(name for name in SETTINGS if getattr(before, name) != getattr(after, name))
