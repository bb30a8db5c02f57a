"""What an agent would do to the device if it were started now: its own parts, on a copy of its state."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

from ikto_core.admin.device_views import DiffView
from ikto_core.admin.showing_changes import diff_view
from ikto_core.agent.from_config import backend_context
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.parts import AgentParts
from ikto_core.agent.starting import require_right, restore_snapshot
from ikto_core.device.bounded_backend import open_bounded
from ikto_core.errors import IktoError, NatsError
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings
from ikto_core.values.keys import PrivateKey

STATE_FILES = ("state.json", "mesh")
"""What an agent reads of its state directory when it starts."""


async def preview_start(options: AgentOptions, nats: NatsSettings, private_key: PrivateKey) -> DiffView:
    """Return what an agent with these options would do to the device once it has read the bucket.

    Without NATS, that is what it would restore from the snapshot, if a subnet was ever claimed. Raises what ends an
    agent: ConfigError, AddressInUseError, NatsError, and BackendError if the device can't be read.
    """
    config = options.config
    start = asyncio.get_running_loop().create_task  # outside a TaskGroup, see bounded_backend
    with _copied_state(config.state_path()) as copy:
        async with open_bounded(options.backend, backend_context(config), start) as backend:
            return await _preview(AgentParts(options, private_key, backend, copy), options, nats)


@contextmanager
def _copied_state(directory: Path) -> Iterator[Path]:
    """Yield a copy of the state that an agent reads: it may set damaged files aside, and save what it finds."""
    with tempfile.TemporaryDirectory(prefix="ikto-preview-") as copy:
        for name in STATE_FILES:
            try:
                shutil.copyfile(directory / name, Path(copy) / name)
            except FileNotFoundError:
                continue
            except OSError as error:
                hint = "run as the agent's user, or as root"
                raise IktoError(f"{directory / name} can't be read: {error.strerror}", hint=hint) from None
        yield Path(copy)


async def _preview(parts: AgentParts, options: AgentOptions, nats: NatsSettings) -> DiffView:
    require_right(parts)
    await parts.underlay.look()
    restore_snapshot(parts)
    source = await _read_bucket(parts, nats)
    preview = await parts.reconciler.preview()
    accepted = parts.desired_state.view.on_device
    return diff_view(preview, options.config.wg_dev_name, options.backend.name, source, accepted)


async def _read_bucket(parts: AgentParts, nats: NatsSettings) -> str:
    """Set the desired state from the bucket; return where it is from."""
    controller = parts.controller
    try:
        async with open_session(nats, SystemRandom()) as session:
            await parts.underlay.connected(session.server, keep_trying=controller.has_saved_claim)
            controller.advertise(parts.underlay.found.addresses)
            await controller.follower.resync(Bucket(session, parts.node.bucket))
    except NatsError:
        if not controller.has_saved_claim:
            raise
        return "snapshot"
    controller.resuming.preview()
    parts.reconciler.set_bucket_followed(followed=True)
    return "bucket"
