"""The kinds of plugin records (backend, IPAM strategy, observer, check, command), and their validation."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

import click
import msgspec

from ikto_core.deprecations import Provider
from ikto_core.device.backend import BackendPlugin
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.observers.contract import ObserverPlugin
from ikto_core.plugins import hookspecs
from ikto_core.plugins.check_contract import CheckPlugin
from ikto_core.plugins.guarding import guarded_call, guarded_make, guarded_open_backend, guarded_open_observer
from ikto_core.plugins.names import is_plugin_name
from ikto_core.plugins.reserved_commands import COMMANDS as BUILTIN_COMMANDS

MAX_OFFERS = 100
"""The most records that a hook may return: guards against an iterator that never ends."""


class CommandPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """A command that a plugin provides: its `ikto_register_commands` added it to the group."""

    name: str
    summary: str  # one line
    command: click.Command


T = TypeVar("T", BackendPlugin, IpamPlugin, ObserverPlugin, CheckPlugin, CommandPlugin)


class Kind(NamedTuple, Generic[T]):
    """One kind of plugin record: the hook that returns it, and how Ikto calls it."""

    name: str
    group: str  # of entry points whose names are those of the plugins of this kind
    hook: str
    record: type[T]
    factory: str  # the record's member that Ikto calls
    guard: Callable[[Callable[..., Any], Provider], Callable[..., Any]] = lambda factory, _: factory


BACKENDS = Kind(
    "backend", "ikto.backends", hookspecs.ikto_register_backends.__name__, BackendPlugin, "open", guarded_open_backend
)
IPAM = Kind("ipam", "ikto.ipam", hookspecs.ikto_register_ipam_strategies.__name__, IpamPlugin, "make", guarded_make)
OBSERVERS = Kind(
    "observer",
    "ikto.observers",
    hookspecs.ikto_register_observers.__name__,
    ObserverPlugin,
    "open",
    guarded_open_observer,
)
CHECKS = Kind("check", "ikto.checks", hookspecs.ikto_register_checks.__name__, CheckPlugin, "run", guarded_call)
COMMANDS = Kind("command", "ikto.commands", hookspecs.ikto_register_commands.__name__, CommandPlugin, "command")
KINDS = (BACKENDS, IPAM, OBSERVERS, CHECKS, COMMANDS)


class NotUsableError(Exception):
    """A plugin breaks a rule of its hook; the message says which."""


def checked_records(kind: Kind[T], result: object) -> Iterator[T]:
    """Yield the records that a hook returned. Raises NotUsableError at the first one that is not valid."""
    expected = kind.record.__name__
    if not isinstance(result, Iterable):
        raise NotUsableError(f"{kind.hook} returned {type(result).__name__}, not an iterable of {expected}")
    for count, record in enumerate(islice(result, MAX_OFFERS + 1)):
        if count == MAX_OFFERS:
            raise NotUsableError(f"{kind.hook} returned more than {MAX_OFFERS} records")
        if not isinstance(record, kind.record):
            raise NotUsableError(f"{kind.hook} returned a {type(record).__name__}, not a {expected}")
        if problem := _problem(kind, record):
            raise NotUsableError(f"{kind.hook} returned {problem}")
        yield record


def command_record(name: object, command: object) -> CommandPlugin:
    """Return the record of a command that a plugin added to its group. Raises NotUsableError if it is not valid."""
    if not isinstance(command, click.Command):
        raise NotUsableError(f"{COMMANDS.hook} added {name!r}, a {type(command).__name__}, not a click.Command")
    if name in BUILTIN_COMMANDS:
        raise NotUsableError(f"{COMMANDS.hook} added {name!r}, which is the name of a built-in command")
    record = CommandPlugin(name=str(name), summary=command.get_short_help_str(80), command=command)
    if problem := _problem(COMMANDS, record):
        raise NotUsableError(f"{COMMANDS.hook} added {problem}")
    return record


def _problem(kind: Kind[T], record: T) -> str | None:
    """Return what is not valid in a record; None if it is valid."""
    name, summary, factory = (getattr(record, member) for member in ("name", "summary", kind.factory))
    if not is_plugin_name(name):
        return f"the name {name!r}, which is not lower case letters, digits and '-'"
    if not isinstance(summary, str) or len(summary.splitlines()) > 1:
        return f"{name!r}, whose `summary` is not one line of text"
    settings = getattr(record, "settings", None)
    if settings is not None and not (isinstance(settings, type) and issubclass(settings, msgspec.Struct)):
        return f"{name!r}, whose `settings` is not a class made of msgspec.Struct"
    if not callable(factory):
        return f"{name!r}, whose `{kind.factory}` is not callable"
    return None
