"""The observer `hosts`: the peers' names in a block of /etc/hosts."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from socket import gethostname

import structlog

from ikto_core.builtin.observers.block import names_beside, with_block
from ikto_core.builtin.observers.names import Names, host_names, short_name
from ikto_core.builtin.observers.shared_file import FileBusyError, change_file
from ikto_core.plugins import IktoError, MeshEvent, Observer, ObserverContext, PeerFacts, Replay

DEFAULT_PATH = "/etc/hosts"
MOST_TOLD = 10
TRIES = 50
TRY_AGAIN_S = 0.1  # somebody else writes it: an editor, or the agent of another mesh

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_hosts(context: ObserverContext) -> AsyncIterator[Observer]:
    """Yield the observer for the file that the argument names. The block stays when it closes, as the device does."""
    path = Path(context.argument or DEFAULT_PATH)
    if not path.is_absolute():
        raise IktoError(f"the observer hosts needs an absolute path, not {context.argument!r}", hint="hosts=/etc/hosts")
    ours = {name for called in (gethostname(), context.name) for name in (called.lower(), short_name(called))}
    ours |= set(context.nats_hosts)  # or whoever is called so is given our next login
    yield Hosts(path, context.ifname, ours)


class Hosts:
    """Keeps the block equal to the mesh, as events tell it.

    Args:
        path: The file.
        ifname: Our device, whose name the block bears: several meshes on a host have a block each.
        ours: What this host and its NATS are called, in lower case: no peer may be.

    """

    def __init__(self, path: Path, ifname: str, ours: Collection[str]) -> None:
        self._path = path
        self._ifname = ifname
        self._ours = ours
        self._mesh = Replay()
        self._refused: Mapping[str, str] = {}

    async def see(self, events: Sequence[MeshEvent]) -> None:
        """Take what happened, and have the file show it. Raises IktoError: it can't be written."""
        self._mesh.see(events)
        peers = tuple(self._mesh.peers.values())
        for left in range(TRIES - 1, -1, -1):
            try:
                self._tell(await asyncio.to_thread(self._write, peers))
            except FileBusyError:
                if not left:
                    raise
                await asyncio.sleep(TRY_AGAIN_S)
            else:
                return

    def _write(self, peers: Sequence[PeerFacts]) -> Names:
        names = Names({}, {})

        def change(content: bytes) -> bytes:
            nonlocal names
            names = host_names(peers, ours=self._ours, others=names_beside(content, self._ifname))
            return with_block(content, self._ifname, lines(names))

        change_file(self._path, change)
        return names

    def _tell(self, names: Names) -> None:
        """Log which names are not written, once for as long as the reason stands."""
        news = [f"{name[:64]!a}: {why}" for name, why in names.refused.items() if self._refused.get(name) != why]
        if news:
            log.warning("names are not written", file=str(self._path), names=news[:MOST_TOLD], number=len(news))
        self._refused = names.refused


def lines(names: Names) -> list[str]:
    """Return the lines of a hosts file, by name."""
    return [f"{address} {name}" for name in sorted(names.addresses) for address in names.addresses[name]]
