"""An observer and a command as their authors write them."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import assert_type

import click

from ikto_core.hookspecs import hookimpl
from ikto_core.observers.contract import (
    MeshEvent,
    MeshReady,
    Observer,
    ObserverContext,
    ObserverPlugin,
    PeerAccepted,
    PeerChanged,
    PeerFacts,
    PeerRemoved,
    QuarantineEnded,
    RecordQuarantined,
    Resync,
)
from ikto_core.observers.replay import Replay


class Mine:
    def __init__(self) -> None:
        self.mesh = Replay()

    async def see(self, events: Sequence[MeshEvent]) -> None:
        self.mesh.see(events)
        assert_type(self.mesh.peers, dict[str, PeerFacts])
        assert_type(self.mesh.ready, MeshReady | None)
        for event in events:
            told(event)


def told(event: MeshEvent) -> str:
    match event:
        case Resync(peers=count):
            assert_type(count, int)
        case PeerAccepted(peer=peer) | PeerChanged(peer=peer) | PeerRemoved(peer=peer):
            assert_type(peer, PeerFacts)
            assert_type(peer.subnets, tuple[str, ...])
        case RecordQuarantined(key=key) | QuarantineEnded(key=key):
            assert_type(key, str)
        case MeshReady(address=address):
            assert_type(address, str)
    return type(event).__name__


@asynccontextmanager
async def open_mine(context: ObserverContext) -> AsyncGenerator[Observer, None]:
    assert_type(context.argument, str)
    yield Mine()


@hookimpl
def ikto_register_observers() -> Iterable[ObserverPlugin]:
    return [ObserverPlugin(name="mine", summary="looks on", open=open_mine)]


@hookimpl
def ikto_register_commands(cli: click.Group) -> None:
    @cli.command()
    def mine() -> None:
        """Do as I do."""

    assert_type(mine, click.Command)
