"""The observer `hosts`: keeps the peers' names in a block of /etc/hosts."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from socket import gethostname

import structlog

from ikto_core.builtin.observers.block import names_outside, with_block
from ikto_core.builtin.observers.names import Names, host_names, short_name
from ikto_core.builtin.observers.shared_file import FileBusyError, change_file
from ikto_core.plugins import IktoError, MeshEvent, Observer, ObserverContext, PeerFacts, Replay

DEFAULT_PATH = "/etc/hosts"
MAX_NAMES_LOGGED = 10
ATTEMPTS = 50
RETRY_S = 0.1  # while another process writes the file: an editor, or the agent of another mesh

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_hosts(context: ObserverContext) -> AsyncIterator[Observer]:
    """Yield the observer for the file that the argument names. On closing, the block stays, as the device does."""
    path = Path(context.argument or DEFAULT_PATH)
    if not path.is_absolute():
        raise IktoError(f"the observer hosts needs an absolute path, not {context.argument!r}", hint="hosts=/etc/hosts")
    own_names = {name for full in (gethostname(), context.name) for name in (full.lower(), short_name(full))}
    own_names |= set(context.nats_hosts)  # a peer with a NATS server's name would receive the agent's next login
    yield Hosts(path, context.ifname, own_names)


class Hosts:
    """Keeps the block equal to the mesh.

    Args:
        path: The file.
        ifname: This node's device. Its name marks the block: several meshes on one host have a block each.
        own_names: Names of this host and its NATS servers, in lower case. A peer with one of them is refused.

    """

    def __init__(self, path: Path, ifname: str, own_names: Collection[str]) -> None:
        self._path = path
        self._ifname = ifname
        self._own_names = own_names
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
            names = host_names(peers, own_names=self._own_names, other_names=other_names)
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
