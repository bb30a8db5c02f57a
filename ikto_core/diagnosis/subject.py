"""The node that is checked: its configuration, and what several checks look at, which is read once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from random import SystemRandom
from typing import Self, TypeVar

from ikto_core.admin.views import StatusView
from ikto_core.claim.local_node import LocalNode
from ikto_core.config import Config
from ikto_core.device.backend import Backend, BackendContext
from ikto_core.device.model import DeviceState
from ikto_core.disk.key_file import load_private_key
from ikto_core.errors import BackendError, IktoError, NatsError
from ikto_core.mesh.view import Entry
from ikto_core.plugins.check_contract import CheckContext
from ikto_core.plugins.facade import Plugins
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.reading_once import read_once
from ikto_core.store.session import NatsSettings, Session
from ikto_core.values.keys import PrivateKey

T = TypeVar("T")

READ_LIMIT_S = 10.0
DIAL_LIMIT_S = 12.0


class Subject:
    """One node. Each property and method that reads something remembers it, also a failure, which it raises again.

    Args:
        config: Its settings.
        node: What the claim knows of them.
        nats: Where NATS is and how to log in, with the node's own inbox.
        plugins: All installed plugins.
        status: What its agent reports; None: no agent answers.
        no_agent: Why no agent answers; None: one does, or none was asked.
        before_start: Whether it is checked before its agent starts for the first time.

    """

    def __init__(
        self,
        config: Config,
        node: LocalNode,
        nats: NatsSettings,
        plugins: Plugins,
        *,
        status: StatusView | None = None,
        no_agent: IktoError | None = None,
        before_start: bool = False,
    ) -> None:
        self.config = config
        self.node = node
        self.nats = nats
        self.plugins = plugins
        self.status = status
        self.no_agent = no_agent
        self.before_start = before_start
        self._stack = AsyncExitStack()
        self._read: dict[str, object] = {}

    async def __aenter__(self) -> Self:
        """Start. What is opened is closed at the end of the block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection to NATS and the backend."""
        await self._stack.aclose()

    @property
    def is_foreign_config(self) -> bool:
        """Whether the agent that answers has another device or name than the configuration says."""
        status = self.status
        return status is not None and (status.ifname, status.name) != (self.config.wg_dev_name, self.node.name)

    @property
    def private_key(self) -> PrivateKey:
        """The device's key. Raises ConfigError."""
        return load_private_key(Path(self.config.private_key_path))

    def check_context(self) -> CheckContext:
        """Return what a plugin's check is given. Raises ConfigError if there is no state directory."""
        return CheckContext(
            name=self.node.name,
            ifname=self.config.wg_dev_name,
            netns=self.config.netns or None,
            mesh_cidr=self.config.mesh_cidr,
            state_dir=self.config.state_path(),
            before_start=self.before_start,
        )

    def backend_context(self) -> BackendContext:
        """Return what the backend is opened with. Raises ConfigError if there is no state directory."""
        config = self.config
        return BackendContext(ifname=config.wg_dev_name, state_dir=config.state_path(), netns=config.netns or None)

    async def backend(self) -> Backend:
        """Return the open backend. Raises BackendError, PluginError, and ConfigError as `backend_context`."""
        return await self._once("backend", self._open_backend)

    async def device(self) -> DeviceState | None:
        """Return the device; None if it is absent. Raises BackendError, and as `backend`."""
        return await self._once("device", self._read_device)

    async def session(self) -> Session:
        """Return a connection to one of the servers. Raises NatsError, LoginFileError."""
        return await self._once("session", self._dial)

    async def bucket(self) -> Bucket:
        """Return the bucket, which may be missing. Raises as `session`."""
        return Bucket(await self.session(), self.config.nats_kv)

    async def entries(self) -> Mapping[str, Entry]:
        """Return the entries of the bucket by KV key. Raises NatsError, and as `session`."""
        return await self._once("entries", self._walk)

    async def _once(self, name: str, read: Callable[[], Awaitable[T]]) -> T:
        if name not in self._read:
            try:
                self._read[name] = await read()
            except IktoError as error:
                self._read[name] = error
        found = self._read[name]
        if isinstance(found, IktoError):
            raise found
        return found  # type: ignore[return-value]  # what `read` returned under this name

    async def _open_backend(self) -> Backend:
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                opened = self.plugins.backend(self.config.backend).open(self.backend_context())
                return await self._stack.enter_async_context(opened)
        except TimeoutError:
            raise BackendError(f"backend {self.config.backend} did not open within {READ_LIMIT_S:g} s") from None

    async def _read_device(self) -> DeviceState | None:
        backend = await self.backend()
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                return await backend.read(self.config.wg_dev_name)
        except TimeoutError:
            message = f"{self.config.wg_dev_name} can't be read within {READ_LIMIT_S:g} s"
            raise BackendError(message, hint="see `ikto status`; a call of the kernel may hang") from None

    async def _dial(self) -> Session:
        try:
            async with asyncio.timeout(DIAL_LIMIT_S):
                return await self._stack.enter_async_context(open_session(self.nats, SystemRandom()))
        except TimeoutError:
            raise NatsError(f"no NATS server answered within {DIAL_LIMIT_S:g} s", hint="check nats_url") from None

    async def _walk(self) -> Mapping[str, Entry]:
        return (await read_once(await self.bucket())).table
