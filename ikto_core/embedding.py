"""Running an agent inside a program of one's own: in its event loop, by its configuration, several beside each other.

No file is needed, no signal handler is set, no log is configured and nothing is global (docs/embedding.md).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from msgspec.structs import replace

from ikto_core.admin.views import StatusView
from ikto_core.agent.agent import beside, run_agent
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.progress import AgentProgress
from ikto_core.agent.report import Report
from ikto_core.config import Config, config_of
from ikto_core.device.backend import BackendPlugin
from ikto_core.device.model import PeerState
from ikto_core.device.reachability import unconfirmed
from ikto_core.disk.key_file import load_private_key
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.mesh.view import MeshPeer
from ikto_core.observers.contract import MeshEvent, MeshReady, PeerFacts
from ikto_core.observers.event_diff import facts
from ikto_core.observers.runner import observer_runs
from ikto_core.plugins.loading import load_plugins
from ikto_core.underlay.handshake_probe import probe_handshakes
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey, PublicKey

__all__ = ["Config", "RunningAgent", "config_of", "running_agent"]

LOOK_EVERY_S = 0.25
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
    """Run an agent for as long as the block lasts; afterwards device and record stay as they are.

    The block is entered at once; what it waits for is up to it. If the agent ends with an error, the block is cancelled
    and the error is raised here. One task enters and leaves it.

    Args:
        config: As `config_of` makes one.
        private_key: The device's key, which is never rotated then; None: it is in the configuration's file.
        backend: What drives WireGuard; None: the installed one that the configuration names.
        ipam: What proposes subnets; None: as `backend`.
        socket: Where the agent answers `ikto status` and its like; None: nowhere.

    Raises:
        ConfigError: Key or state can't be read; or as `ikto_core.agent.agent.Agent.run`.
        PluginError: A plugin that the configuration names is missing or broken.
        IktoError: As `ikto_core.agent.agent.Agent.run`; AddressInUseError, NatsError and BackendError among them.

    """
    progress = AgentProgress()
    key_path = None if private_key else Path(config.private_key_path)
    options = replace(_options(progress, config, backend, ipam), key_path=key_path, socket=socket)
    key = private_key.clamped() if private_key else load_private_key(Path(config.private_key_path))
    try:
        async with beside(run_agent(options, key)):
            yield RunningAgent(config, progress)
    finally:
        progress.agent_ended()


class RunningAgent:
    """An agent that runs; who waits here for one that has ended gets IktoError."""

    def __init__(self, config: Config, progress: AgentProgress) -> None:
        self.config = config
        self._progress = progress

    async def claimed(self) -> Prefix:
        """Wait until the bucket has our record, and return the subnet that is ours."""
        return (await self._progress.until(lambda: self._progress.claim)).subnet

    async def ready(self) -> MeshReady:
        """Wait until our device shows the mesh, with an address of our subnet, and return how."""
        return await self._progress.event_hub.until_ready()

    async def shown(self, *, timeout_s: float = 10.0) -> tuple[PeerFacts, ...]:
        """Wait until the devices of all peers are known to show us, and return those of whom that is not known.

        A handshake with a peer is the proof, for its device answers nobody else; where no traffic is, a datagram to
        the peer's subnet provokes one. Peers that come meanwhile are not waited for: they learn of us as they come.

        Args:
            timeout_s: How long to wait once we are `claimed` and `ready`, which take as long as they take.

        Raises BackendError if our device can't be read.
        """
        await self.claimed()
        ready, loop = await self.ready(), asyncio.get_running_loop()
        asked, before = await self._peers(), await self._device_peers()
        give_up_at, probe_at = loop.time() + timeout_s, 0.0
        while missing := await self._unconfirmed(asked, before):
            if loop.time() >= give_up_at:
                break
            if loop.time() >= probe_at:
                probe_at = loop.time() + PROBE_EVERY_S
                probe_handshakes(
                    ready.address, [peer.records[0].record.device_address for peer in missing], self.config.netns
                )
            await asyncio.sleep(LOOK_EVERY_S)
        return tuple(facts(peer) for peer in missing)

    async def events(self) -> AsyncIterator[MeshEvent]:
        """Yield what an observer is told, event by event, from `Resync` on; ends with the agent."""
        with self._progress.event_hub.reader() as reader:
            async for events in reader:
                for event in events:
                    yield event

    async def status(self) -> StatusView:
        """Return what `ikto status` shows."""
        return await (await self._report()).status()

    async def rotate_key(self) -> PublicKey:
        """Have the key rotated, make before break, and return the next one; it is used some time later.

        Raises IktoError if the key was given, or no subnet is claimed yet; ConfigError if its file can't be written.
        """
        return (await self._report()).rotation.begin()

    async def _report(self) -> Report:
        return await self._progress.until(lambda: self._progress.report)

    async def _peers(self) -> dict[PublicKey, MeshPeer]:
        return dict((await self._report()).controller.desired_state.view.peers)

    async def _device_peers(self) -> Mapping[PublicKey, PeerState]:
        device = await (await self._report()).backend.read(self.config.wg_dev_name)
        return device.peers if device else {}

    async def _unconfirmed(
        self, asked: Mapping[PublicKey, MeshPeer], before: Mapping[PublicKey, PeerState]
    ) -> list[MeshPeer]:
        """Return who of those asked is still in the mesh, and not known to show us."""
        claim = await self._progress.until(lambda: self._progress.claim)
        now, peers = await self._device_peers(), await self._peers()
        return unconfirmed([peers[key] for key in asked if key in peers], now, before, claim.since)


def _options(
    progress: AgentProgress, config: Config, backend: BackendPlugin | None, ipam: IpamPlugin | None
) -> AgentOptions:
    installed = cache(lambda: load_plugins(blocked=config.blocked_plugins))  # only if something of them is needed
    return AgentOptions(
        config=config,
        backend=backend or installed().backend(config.backend),
        ipam=ipam or installed().ipam(config.ipam),
        observers=observer_runs(config, lambda name: installed().observer(name)),
        event_hub=progress.event_hub,
        on_agent=progress.agent_started,
        on_claim_change=progress.claim_changed,
    )
