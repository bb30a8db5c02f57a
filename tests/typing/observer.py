"""An observer and a command as authors write them, and a program that runs an agent in its own event loop."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import assert_never, assert_type

import click

from ikto_core.embedding import Config, RunningAgent, config_of, running_agent
from ikto_core.plugins import (
    MeshEvent,
    MeshReady,
    Observer,
    ObserverContext,
    ObserverPlugin,
    PeerAccepted,
    PeerChanged,
    PeerFacts,
    PeerRemoved,
    Prefix,
    PublicKey,
    QuarantineEnded,
    RecordQuarantined,
    Replay,
    Resync,
    hookimpl,
    load_plugins,
)


class MyObserver:
    async def see(self, events: Sequence[MeshEvent]) -> None:
        for event in events:
            match event:
                case Resync():
                    assert_type(event.peers, int)
                case PeerAccepted() | PeerRemoved():
                    assert_type(event.peer, PeerFacts)
                case PeerChanged(before=before):
                    assert_type(before, PeerFacts)
                case RecordQuarantined() | QuarantineEnded():
                    assert_type(event.allowed_ip, str | None)
                case MeshReady():
                    assert_type(event.revision, int)
                case _:
                    assert_never(event)  # a new kind of event is a type error here


@asynccontextmanager
async def open_observer(context: ObserverContext) -> AsyncGenerator[Observer, None]:
    assert_type(context.argument, str)
    assert_type(context.state_dir, Path)
    yield MyObserver()


@hookimpl
def ikto_register_observers() -> Iterable[ObserverPlugin]:
    return [ObserverPlugin(name="mine", summary="prints events", open=open_observer)]


@hookimpl
def ikto_register_commands(cli: click.Group) -> None:
    cli.add_command(click.Command("mine"))


async def embed() -> None:
    config = config_of(private_address="auto")
    assert_type(config, Config)
    async with running_agent(config, backend=load_plugins().backend("fake")) as agent:
        assert_type(agent, RunningAgent)
        assert_type(await agent.claimed(), Prefix)
        assert_type(await agent.ready(), MeshReady)
        assert_type(await agent.shown(timeout_s=1.0), tuple[PeerFacts, ...])
        assert_type(await agent.rotate_key(), PublicKey)
        replay = Replay()
        async for event in agent.events():
            assert_type(event, MeshEvent)
            replay.see([event])
        assert_type(replay.peers, dict[str, PeerFacts])
