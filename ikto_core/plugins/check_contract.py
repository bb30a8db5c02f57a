"""The contract of checks, which `ikto doctor` runs: what a check is given, and what it returns."""

from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec


class Level(Enum):
    """How bad a finding is."""

    OK = "ok"
    SKIPPED = "skipped"  # it could not be looked at, or there is nothing to look at; the text says why
    WARNING = "warning"  # it works, or may work, and somebody should look at it
    ERROR = "error"  # it does not work, or will not


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found: one line of `ikto doctor`."""

    level: Level
    text: str  # one line: what was found, and where
    fix: str = ""  # what to do about it; a warning or an error should have one
    page: str = ""  # where this is described: a URL, or PAGE.md#ANCHOR of Ikto's docs; empty: nowhere


class CheckContext(msgspec.Struct, frozen=True, kw_only=True):
    """The node that is checked. Its agent may run or not."""

    name: str  # the node's name, as its peers see it
    ifname: str  # its WireGuard device
    netns: str | None  # network namespace of the device, by name or path; None: the one that the check runs in
    mesh_cidr: str  # the whole mesh, ADDRESS/LENGTH
    state_dir: Path  # the agent's own directory; it may not exist yet
    before_start: bool  # the node is checked before its agent starts for the first time
    settings: Any = None  # what `settings` of the plugin's record describes, from the configuration; None: it has none


class CheckPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """A check that a plugin adds to `ikto doctor`: an item of the result of its `ikto_register_checks` hook.

    K1. `run` looks and changes nothing. It may be called at any time, and by any user.
    K2. `run` is a plain function, which is called in a thread of its own. It is given up after ten seconds, which is an
        error of this check. It may raise anything: that is an error of this check, too.
    K3. It returns as many findings as it likes; without one it says that all is well.
    """

    name: str  # lower case letters, digits and '-'
    summary: str  # one line: what is well if nothing is found
    run: Callable[[CheckContext], Iterable[Finding]]
    settings: type[msgspec.Struct] | None = None  # describes the settings of this plugin; None: it takes none
