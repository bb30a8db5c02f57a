"""What plugins may offer, and what makes an offer sound."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

import click
import msgspec

from ikto_core.device.backend import BackendPlugin
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.observers.contract import ObserverPlugin
from ikto_core.plugins import hookspecs
from ikto_core.plugins.guarding import guarded_make, guarded_open
from ikto_core.plugins.reserved_commands import COMMANDS as BUILTIN_COMMANDS

MAX_OFFERS = 100
"""A hook that returns more than this is broken: an iterator may never end."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class CommandPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """A command on offer: what a plugin's `ikto_register_commands` added to the group that it was given."""

    name: str
    summary: str  # one line
    command: click.Command


T = TypeVar("T", BackendPlugin, IpamPlugin, ObserverPlugin, CommandPlugin)


class Kind(NamedTuple, Generic[T]):
    """A kind of thing that plugins offer."""

    name: str
    hook: str
    record: type[T]
    maker: str  # the record's member that is called
    guard: Callable[[Callable[..., Any], str], Callable[..., Any]] = lambda maker, _: maker  # blames whose it is


BACKENDS = Kind("backend", hookspecs.ikto_register_backends.__name__, BackendPlugin, "open", guarded_open)
IPAM = Kind("ipam", hookspecs.ikto_register_ipam_strategies.__name__, IpamPlugin, "make", guarded_make)
OBSERVERS = Kind("observer", hookspecs.ikto_register_observers.__name__, ObserverPlugin, "open", guarded_open)
COMMANDS = Kind("command", hookspecs.ikto_register_commands.__name__, CommandPlugin, "command")


class NotUsableError(Exception):
    """A plugin breaks the rules; the message says which."""


def checked(kind: Kind[T], answer: object) -> Iterator[T]:
    """Yield a hook's records, each of the type and form that the hook's specification asks for; NotUsableError."""
    wanted = kind.record.__name__
    if not isinstance(answer, Iterable):
        raise NotUsableError(f"{kind.hook} returned {type(answer).__name__}, not an iterable of {wanted}")
    for count, record in enumerate(islice(answer, MAX_OFFERS + 1)):
        if count == MAX_OFFERS:
            raise NotUsableError(f"{kind.hook} offers more than {MAX_OFFERS}")
        if not isinstance(record, kind.record):
            raise NotUsableError(f"{kind.hook} offered a {type(record).__name__}, not a {wanted}")
        if wrong := _fault(kind, record):
            raise NotUsableError(f"{kind.hook} offered {wrong}")
        yield record


def command_of(name: object, command: object) -> CommandPlugin:
    """Return what a plugin added to the group that it was given; NotUsableError if it can't be a command of Ikto's."""
    if not isinstance(command, click.Command):
        raise NotUsableError(f"{COMMANDS.hook} added {name!r}, a {type(command).__name__}, not a click.Command")
    if name in BUILTIN_COMMANDS:
        raise NotUsableError(f"{COMMANDS.hook} added {name!r}, which is a command of Ikto's own")
    record = CommandPlugin(name=str(name), summary=command.get_short_help_str(80), command=command)
    if wrong := _fault(COMMANDS, record):
        raise NotUsableError(f"{COMMANDS.hook} added {wrong}")
    return record


def _fault(kind: Kind[T], record: T) -> str | None:
    """Return what is wrong with a record's members; None: nothing."""
    name, summary, maker = (getattr(record, member) for member in ("name", "summary", kind.maker))
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        return f"the name {name!r}, not lower case letters, digits, '-'"
    if not isinstance(summary, str) or len(summary.splitlines()) > 1:
        return f"{name!r}, whose `summary` is not one line of text"
    if not callable(maker):
        return f"{name!r}, whose `{kind.maker}` can't be called"
    return None
