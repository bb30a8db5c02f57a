"""The agent: puts the rooms together and is the only place that starts tasks."""

import asyncio
from pathlib import Path
from random import Random, SystemRandom

import msgspec
import structlog

from ikto_core import systemd
from ikto_core.admin.report import Report
from ikto_core.admin.server import serve
from ikto_core.aim import Aim
from ikto_core.backend import Backend, BackendContext, BackendPlugin
from ikto_core.brake import BrakeLimits
from ikto_core.candidates import Candidates
from ikto_core.claims import Claims
from ikto_core.config import Config
from ikto_core.egress import advertise_address, fitting_mtu, has_route, host_name
from ikto_core.errors import AddressInUseError, BackendError, ConfigError, NatsError, first_cause
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.keeper import Keeper
from ikto_core.kept_mesh import KeptMesh, MeshFile
from ikto_core.keyfile import load_private_key
from ikto_core.keys import PrivateKey
from ikto_core.lease_keeper import LeaseKeeper
from ikto_core.membership import Membership
from ikto_core.ourselves import nats_settings
from ikto_core.peer_endpoints import EndpointBook
from ikto_core.reconcile import Reconciler
from ikto_core.rotation import Rotation
from ikto_core.state import StateFile
from ikto_core.store.bucket import Bucket
from ikto_core.store.cancelling import cancellation_kept
from ikto_core.store.hints import Hints
from ikto_core.store.link import Link
from ikto_core.store.session import Session

EVENTS_RETRY_S = 5.0

log = structlog.get_logger(__name__)


async def run_agent(
    config: Config, private_key: PrivateKey, backend: BackendPlugin, ipam: IpamPlugin, socket: Path
) -> None:
    """Open the backend and take part in the mesh until cancelled, whatever keys come. Raises as `Agent.run`."""
    context = BackendContext(ifname=config.wg_dev_name, state_dir=config.state_path(), netns=config.netns or None)
    async with backend.open(context) as opened:
        while True:
            with cancellation_kept():  # which a TaskGroup that ends with a rotation may forget, up to Python 3.12
                await Agent(config, private_key, backend_name=backend.name, backend=opened, ipam=ipam).run(socket)
            private_key = load_private_key(Path(config.private_key_path))


class Agent:
    """One node of a mesh.

    Args:
        config: A checked configuration.
        private_key: The device's key.
        backend_name: The backend's name, for status.
        backend: What drives the device.
        ipam: What proposes subnets when the private address is "auto".
        random: Chance of every kind.

    """

    def __init__(
        self,
        config: Config,
        private_key: PrivateKey,
        *,
        backend_name: str,
        backend: Backend,
        ipam: IpamPlugin,
        random: Random | None = None,
    ) -> None:
        random = random or SystemRandom()
        name = config.name or host_name()
        self._config = config
        self._backend = backend
        self._found_address = ""  # that peers reach this host at; empty: not found yet
        book = EndpointBook(private_key.public(), persistent_keepalive=config.persistent_keepalive, has_route=has_route)
        limits = BrakeLimits(share=config.removal_limit / 100)
        self._reconciler = Reconciler(backend, config.wg_dev_name, endpoints=book, limits=limits)
        self._state = StateFile(config.state_path())
        self._keeper = Keeper(MeshFile(config.state_path()))
        claims = Claims(config, private_key.public(), self._state)
        self._membership = Membership(
            config,
            name=name,
            public_key=private_key.public(),
            aim=Aim(config, private_key, self._reconciler, self._keeper.changed),
            claims=claims,
            candidates=Candidates(config, name, claims, ipam.make(), random),
            random=random,
        )
        self._rotation = Rotation(Path(config.private_key_path), self._membership, self._reconciler, claims)
        member = self._membership
        self._leases = LeaseKeeper(config.lease_s, lambda: member.record, member.follower, random)
        self._link = Link(nats_settings(config, name), random, patient=self._membership.had_claim)
        self.report = Report(
            config,
            name,
            backend_name=backend_name,
            membership=self._membership,
            reconciler=self._reconciler,
            link=self._link,
            backend=backend,
            keeper=self._keeper,
            state=self._state,
            rotation=self._rotation,
            leases=self._leases,
        )

    async def run(self, socket: Path) -> None:
        """Take part in the mesh until cancelled, and answer on the unix socket; return when another key is to be used.

        Stopping leaves device and record in place; but a device whose address is not ours any more goes.

        Raises:
            AddressInUseError: Our address is somebody else's.
            ConfigError: The configuration contradicts the mesh's, no address to advertise can be found, or, as long as
                nothing was ever claimed, a file to log in with can't be used.
            NatsError: NATS can't be used; only as long as nothing was ever claimed, later it is tried for ever.
            IktoError: The socket can't be had.

        """
        try:
            async with serve(self.report, socket), asyncio.TaskGroup() as tasks:
                self._rotation.resume()
                await self._recall()
                tasks.create_task(self._keeper.run(self._to_keep))
                tasks.create_task(self._link.run(self._follow))
                tasks.create_task(self._reconciler.run())
                tasks.create_task(self._watch_device())
                tasks.create_task(self._tell_service_manager())
                await self._until_the_end()
        except BaseExceptionGroup as group:
            if self._rotation.done.is_set():
                return
            cause = first_cause(group)
            if isinstance(cause, AddressInUseError) and self._membership.had_claim:
                await self._let_go()
            raise cause from group

    async def _until_the_end(self) -> None:
        try:
            await self._rotation.ended()
        finally:
            self._link.end()

    async def _recall(self) -> None:
        """Have the device show what was kept, before NATS is dialled; what fails now is tried again later."""
        self._membership.recall(kept := self._keeper.load())
        if kept and kept.mtu:  # what fits the way to peers is found again when there is a way
            self._reconciler.fit(kept.mtu)
        try:
            await self._reconciler.reconcile()
        except BackendError as error:
            log.warning("the device does not show what was kept", ifname=self._config.wg_dev_name, error=str(error))

    def _to_keep(self, now: float) -> KeptMesh | None:
        self._state.mend()
        kept = self._membership.to_keep(now)
        return msgspec.structs.replace(kept, mtu=self._reconciler.mtu) if kept else None

    async def _follow(self, session: Session) -> None:
        """Follow the bucket and keep our record for as long as the session lives."""
        bucket = Bucket(session, self._config.nats_kv)
        advertised = self._config.advertised or await self._find_address(session.server)
        if mtu := await fitting_mtu(session.server, self._config.mesh, self._config.wg_dev_name):
            self._reconciler.fit(mtu)
            self._keeper.changed()
        await self._listen(session, bucket)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(session.closed())
                tasks.create_task(self._membership.follower.run(bucket))
                tasks.create_task(self._membership.keep(bucket, advertised, self._claimed))
                tasks.create_task(self._rotation.run(bucket))
                if self._leases.lease_s:
                    tasks.create_task(self._leases.run(bucket, bucket.renewals()))
        except BaseExceptionGroup as group:
            raise first_cause(group) from group

    def _claimed(self) -> None:
        self._link.settled()
        self._leases.claimed.set()

    async def _find_address(self, server: str) -> str:
        """Find the address to advertise; the last one found stays good when none can be found any more."""
        try:
            self._found_address = await advertise_address(server, self._config.mesh, self._config.wg_dev_name)
        except ConfigError as error:
            if not self._found_address and self._membership.had_claim:  # at boot, routes may come later than we do
                raise NatsError(str(error), hint=error.hint) from None
            if not self._found_address:
                raise
            log.warning("still advertising the last address", advertise_address=self._found_address, because=str(error))
        return self._found_address

    async def _listen(self, session: Session, bucket: Bucket) -> None:
        """Have writes to the bucket pushed to the follower: with their revision, or else as a mere hint."""
        follower = self._membership.follower
        if await bucket.is_pushed():
            await session.subscribe(bucket.pushes, lambda pushed: follower.receive(bucket.message(pushed)))
        else:
            log.warning("the bucket does not republish: following by hints", upgrade="ikto bucket upgrade")
            hints = Hints(follower.wake, follower.hint_delay_s)
            await session.subscribe(bucket.writes, lambda _: hints.hint())

    async def _watch_device(self) -> None:
        """Have the device read again whenever its backend says that somebody touched it.

        Events only make it sooner than the next whole pass: a backend that fails to tell ends nothing.
        """
        while True:
            try:
                async for event in self._backend.events():
                    if event.ifname == self._config.wg_dev_name:
                        self._reconciler.distrust()
            except BackendError as error:
                log.warning("device events were missed", ifname=self._config.wg_dev_name, error=str(error))
                await asyncio.sleep(EVENTS_RETRY_S)
                self._reconciler.distrust()  # for what happened meanwhile, too
            else:
                return  # this backend can't tell

    async def _tell_service_manager(self) -> None:
        """Tell systemd when the device shows the mesh, and that we live for as long as it asks."""
        await self._reconciler.in_step.wait()
        systemd.notify("READY=1")
        while (interval_s := systemd.watchdog_interval_s()) is not None:
            systemd.notify("WATCHDOG=1")
            await asyncio.sleep(interval_s)

    async def _let_go(self) -> None:
        """Stop using an address that is not ours, at once and for good."""
        log.error("letting go of the address: the device goes", ifname=self._config.wg_dev_name)
        self._membership.forget()
        try:
            await self._backend.delete(self._config.wg_dev_name)
        except BackendError as error:
            log.error("the device could not be removed", ifname=self._config.wg_dev_name, error=str(error))
