"""What `ikto leave` and `ikto down` do where no agent runs: the same, from the configuration and the state directory.

The locks of an agent are held meanwhile, so that none starts.
"""

import asyncio
from pathlib import Path

import structlog

from ikto_core.agent.from_config import backend_context, nats_settings
from ikto_core.agent.locks import agent_locks
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.parts import AgentParts
from ikto_core.config import Config
from ikto_core.device.bounded_backend import open_bounded
from ikto_core.plugins.loading import load_plugins
from ikto_core.roster.removal import remove_lease
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.values.keys import PrivateKey

log = structlog.get_logger(__name__)


def options_of(config: Config) -> AgentOptions:
    """Return the options of an agent that serves nothing and has no observers. Raises PluginError."""
    plugins = load_plugins(blocked=config.blocked_plugins, settings=config.plugins)
    return AgentOptions(
        config=config,
        backend=plugins.backend(config.backend),
        ipam=plugins.ipam(config.ipam),
        key_path=Path(config.private_key_path),
    )


async def leave_without_agent(options: AgentOptions, private_key: PrivateKey, *, forget: bool) -> None:
    """Withdraw this node's records and its lease, then remove its device.

    Args:
        options: As of an agent.
        private_key: The device's key.
        forget: Whether to forget the claim, too.

    Raises:
        IktoError: An agent runs.
        NatsError: The bucket can't be read or written; nothing else was done.
        BackendError: The device can't be removed, or is another program's (ForeignDeviceError); the records are
            withdrawn.

    """
    await _end(options, private_key, withdraw=True, forget=forget)


async def down_without_agent(options: AgentOptions, private_key: PrivateKey) -> None:
    """Remove the device, and keep record and claim. Raises as `leave_without_agent`."""
    await _end(options, private_key, withdraw=False, forget=False)


async def _end(options: AgentOptions, private_key: PrivateKey, *, withdraw: bool, forget: bool) -> None:
    config = options.config
    start = asyncio.get_running_loop().create_task  # outside a TaskGroup, see bounded_backend
    with agent_locks(config, options.backend, hint="give the socket of that agent with -s, and it does this itself"):
        async with open_bounded(options.backend, backend_context(config), start) as backend:
            parts = AgentParts(options, private_key, backend)
            if withdraw:
                await _withdraw(options, parts)
            await parts.reconciler.delete_device()
            if forget:
                parts.saved_claim.forget()
            elif withdraw:
                parts.saved_claim.release()  # another node may have the subnet at the next start


async def _withdraw(options: AgentOptions, parts: AgentParts) -> None:
    if parts.node.user:
        parts.node.user.reload()
    async with open_session(nats_settings(options.config, parts.node.name), options.random) as session:
        bucket = Bucket(session, parts.node.bucket)
        await parts.controller.follower.resync(bucket)
        for key in await parts.controller.withdraw_records(bucket):
            if parts.leases.lease_s and (failure := await remove_lease(bucket.renewals(), key)):
                log.info("lease not removed, which does no harm", error=failure)
