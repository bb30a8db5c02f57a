"""The observer `hosts`: keeps the peers' names in a block of /etc/hosts."""

import asyncio
import shlex
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from socket import gethostname
from typing import NamedTuple

import structlog

from ikto_core.builtin.observers.block import names_outside, with_block
from ikto_core.builtin.observers.names import MAX_SUFFIX, Names, Naming, host_names, is_host_name, short_name
from ikto_core.builtin.observers.shared_file import FileBusyError, change_file
from ikto_core.plugins import IktoError, MeshEvent, Observer, ObserverContext, PeerFacts, Replay

DEFAULT_PATH = "/etc/hosts"
ARGUMENT_HINT = "hosts, or hosts= with the absolute path of a file, a suffix such as .mesh.example, or the word short"
MAX_NAMES_LOGGED = 10
ATTEMPTS = 50
RETRY_S = 0.1  # while another process writes the file: an editor, or the agent of another mesh

log = structlog.get_logger(__name__)


class Argument(NamedTuple):
    """The argument of the setting: what to write, and where."""

    path: Path = Path(DEFAULT_PATH)
    naming: Naming = Naming()


def parse_argument(text: str) -> Argument:
    """Return the argument in a text such as `/path .mesh.example short`: any of these, in any order.

    Raises IktoError for anything else.
    """
    argument = Argument()
    for word in _words(text):
        if word.startswith("/"):
            argument = argument._replace(path=Path(word))
        elif word.startswith(".") and is_host_name(word[1:]) and len(word) <= MAX_SUFFIX:
            argument = argument._replace(naming=argument.naming._replace(suffix=word[1:].lower()))
        elif word == "short":
            argument = argument._replace(naming=argument.naming._replace(short=True))
        else:
            raise IktoError(f"the observer hosts can't use {word!r}", hint=ARGUMENT_HINT)
    return argument


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise IktoError(f"the observer hosts can't parse {text!r}: {error}", hint=ARGUMENT_HINT) from None


@asynccontextmanager
async def open_hosts(context: ObserverContext) -> AsyncIterator[Observer]:
    """Yield the observer for what the argument names. On closing, the block stays, as the device does."""
    argument = parse_argument(context.argument)
    own_names = set(context.nats_hosts)  # a peer with a NATS server's name would receive the agent's next login
    for name in (gethostname(), context.name):
        own_names |= {name.lower(), short_name(name), *argument.naming.names(short_name(name))}
    yield Hosts(argument.path, context.ifname, own_names, argument.naming)


class Hosts:
    """Keeps the block equal to the mesh.

    Args:
        path: The file.
        ifname: This node's device. Its name marks the block: several meshes on one host have a block each.
        own_names: Names of this host and its NATS servers, in lower case. A peer with one of them is refused.
        naming: How peers are called.

    """

    def __init__(self, path: Path, ifname: str, own_names: Collection[str], naming: Naming) -> None:
        self._path = path
        self._ifname = ifname
        self._own_names = own_names
        self._naming = naming
        self._mesh = Replay()
        self._refused: Mapping[str, str] = {}

    async def see(self, events: Sequence[MeshEvent]) -> None:
        """Apply the events and write the file. Raises IktoError if the file can't be written."""
        self._mesh.see(events)
        peers = tuple(self._mesh.peers.values())
        for attempts_left in range(ATTEMPTS - 1, -1, -1):
            try:
                self._log_refused(await asyncio.to_thread(self._write, peers))
            except FileBusyError:
                if not attempts_left:
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                return

    def _write(self, peers: Sequence[PeerFacts]) -> Names:
        names = Names({}, {})

        def change(content: bytes) -> bytes:
            nonlocal names
            other_names = names_outside(content, self._ifname)
            names = host_names(peers, self._naming, own_names=self._own_names, other_names=other_names)
            return with_block(content, self._ifname, lines(names))

        change_file(self._path, change)
        return names

    def _log_refused(self, names: Names) -> None:
        """Log the refused names, each once until its reason changes."""
        new = [f"{name[:64]!a}: {why}" for name, why in names.refused.items() if self._refused.get(name) != why]
        if new:
            log.warning("peer names refused", file=str(self._path), names=new[:MAX_NAMES_LOGGED], number=len(new))
        self._refused = names.refused


def lines(names: Names) -> list[str]:
    """Return the lines for a hosts file, sorted by name."""
    return [f"{address} {name}" for name in sorted(names.addresses) for address in names.addresses[name]]
