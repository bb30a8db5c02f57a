"""Runs an agent inside a program: in its event loop, with its configuration, several beside each other.

No file is needed, no signal handler is set, no log is configured and nothing is global (docs/embedding.md).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from msgspec.structs import replace

from ikto_core.admin.views import StatusView
from ikto_core.agent.agent import run_agent, running
from ikto_core.agent.from_config import observer_context
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.progress import AgentProgress
from ikto_core.agent.report import Report
from ikto_core.config import Config, config_of
from ikto_core.device.backend import BackendPlugin
from ikto_core.device.model import PeerState
from ikto_core.device.reachability import unconfirmed
from ikto_core.disk.key_file import load_private_key
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.observers.contract import MeshEvent, MeshReady, PeerFacts
from ikto_core.observers.event_diff import peer_facts
from ikto_core.observers.runner import observer_runs
from ikto_core.plugins.loading import load_plugins
from ikto_core.plugins.settings import P, with_settings
from ikto_core.underlay.handshake_probe import probe_handshakes
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey, PublicKey

__all__ = ["Config", "RunningAgent", "config_of", "running_agent"]

POLL_EVERY_S = 0.25
PROBE_EVERY_S = 1.0


@asynccontextmanager
async def running_agent(
    config: Config,
    *,
    private_key: PrivateKey | None = None,
    backend: BackendPlugin | None = None,
    ipam: IpamPlugin | None = None,
    socket: Path | None = None,
) -> AsyncIterator["RunningAgent"]:
    """Run an agent for as long as the block lasts; device and record stay afterwards.

    The block is entered at once and waits for what it needs. If the agent fails, the block is cancelled and the error
    is raised here. The same task must enter and leave the block.

    Args:
        config: As `config_of` makes one.
        private_key: The device's key, which is never rotated then; None: read it from the configured file.
        backend: Drives WireGuard; None: the installed one that the configuration names.
        ipam: Proposes subnets; None: as `backend`.
        socket: Where the agent serves its admin interface (`ikto status`); None: nowhere.

    Raises:
        ConfigError: Key or state can't be read, or the configuration contradicts the mesh's settings.
        PluginError: A plugin that the configuration names is missing or broken.
        IktoError: The agent can't go on; AddressInUseError, NatsError and BackendError among them, and LeftMeshError
            if an operator has ended it.

    """
    progress = AgentProgress()
    key_path = None if private_key else Path(config.private_key_path)
    options = replace(_options(progress, config, backend, ipam), key_path=key_path, socket=socket)
    key = private_key.clamped() if private_key else load_private_key(Path(config.private_key_path))
    try:
        async with running(run_agent(options, key)):
            yield RunningAgent(config, progress)
    finally:
        progress.agent_ended()


class RunningAgent:
    """An agent that runs. Waiting for one that has ended raises IktoError."""

    def __init__(self, config: Config, progress: AgentProgress) -> None:
        self.config = config
        self._progress = progress

    async def claimed(self) -> Prefix:
        """Wait until the bucket has this node's record, and return this node's subnet."""
        return (await self._progress.until(lambda: self._progress.claim)).subnet

    async def ready(self) -> MeshReady:
        """Wait until the device shows the mesh, with an address of this node's subnet; return its state."""
        return await self._progress.event_hub.until_ready()

    async def shown(self, *, timeout_s: float = 10.0) -> tuple[PeerFacts, ...]:
        """Wait until every peer's device is known to have this node as a peer; return the peers for which it is not.

        A handshake confirms it, for a WireGuard device answers only its peers. Where no traffic flows, a datagram to
        the peer's subnet makes WireGuard start one. Peers that join meanwhile are not waited for: they read the own
        record before they join.

        Args:
            timeout_s: How long to wait after `claimed` and `ready`, which are waited for without a limit.

        Raises BackendError if the device can't be read.
        """
        await self.claimed()
        ready, loop = await self.ready(), asyncio.get_running_loop()
        asked, before = (await self._report()).accepted_peers(), await self._device_peers()
        give_up_at, probe_at = loop.time() + timeout_s, 0.0
        while missing := await self._unconfirmed(asked, before):
            if loop.time() >= give_up_at:
                break
            if loop.time() >= probe_at:
                probe_at = loop.time() + PROBE_EVERY_S
                addresses = [peer.records[0].record.device_address for peer in missing]
                probe_handshakes(ready.address, addresses, self.config.netns)
            await asyncio.sleep(POLL_EVERY_S)
        return tuple(peer_facts(peer) for peer in missing)

    async def events(self) -> AsyncIterator[MeshEvent]:
        """Yield what observers receive, event by event, from `Resync` on; ends with the agent."""
        with self._progress.event_hub.reader() as reader:
            async for events in reader:
                for event in events:
                    yield event

    async def status(self) -> StatusView:
        """Return what `ikto status` shows."""
        return await (await self._report()).status()

    async def rotate_key(self) -> PublicKey:
        """Begin a key rotation, make before break, and return the next key; it is used some time later.

        Raises IktoError if the key was given, or no subnet is claimed yet; ConfigError if its file can't be written.
        """
        return PublicKey.parse((await self._report()).rotate_key().next_public_key)

    async def _report(self) -> Report:
        return await self._progress.until(lambda: self._progress.report)

    async def _device_peers(self) -> Mapping[PublicKey, PeerState]:
        return await (await self._report()).device_peers()

    async def _unconfirmed(
        self, asked: Mapping[PublicKey, MeshPeer], before: Mapping[PublicKey, PeerState]
    ) -> list[MeshPeer]:
        """Return the peers among `asked` that are still in the mesh, and not known to have this node as a peer."""
        claim = await self._progress.until(lambda: self._progress.claim)
        now, peers = await self._device_peers(), (await self._report()).accepted_peers()
        return unconfirmed([peers[key] for key in asked if key in peers], now, before, claim.since)


def _options(
    progress: AgentProgress, config: Config, backend: BackendPlugin | None, ipam: IpamPlugin | None
) -> AgentOptions:
    installed = cache(lambda: load_plugins(blocked=config.blocked_plugins, settings=config.plugins))
    return AgentOptions(
        config=config,
        backend=_with_settings(backend, config) if backend else installed().backend(config.backend),
        ipam=_with_settings(ipam, config) if ipam else installed().ipam(config.ipam),
        observers=observer_runs(config.observers, observer_context(config), lambda name: installed().observer(name)),
        event_hub=progress.event_hub,
        on_agent=progress.agent_started,
        on_claim_change=progress.claim_changed,
    )


def _with_settings(plugin: P, config: Config) -> P:
    """Return a record that the program gives, with the settings that the configuration has for its name."""
    return with_settings(plugin, config.plugins.get(plugin.name, {})) if plugin.settings else plugin
