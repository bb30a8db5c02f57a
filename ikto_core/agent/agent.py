"""The agent: puts the rooms together and is the only place that starts tasks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import msgspec
import structlog

from ikto_core.admin.server import serve
from ikto_core.agent import systemd
from ikto_core.agent.key_rotation import Rotation
from ikto_core.agent.options import Terms
from ikto_core.agent.report import Report
from ikto_core.claim.address_candidates import Candidates
from ikto_core.claim.controller import Membership
from ikto_core.claim.desired_state import Aim
from ikto_core.claim.local_node import nats_settings
from ikto_core.claim.saved_claim import Claims
from ikto_core.device.backend import Backend, BackendContext
from ikto_core.device.endpoint_tracker import EndpointBook
from ikto_core.device.model import DeviceSpec
from ikto_core.device.reconciler import Reconciler
from ikto_core.device.removal_brake import BrakeLimits
from ikto_core.device.watch import watch_device
from ikto_core.disk.key_file import load_private_key
from ikto_core.disk.mesh_snapshot import KeptMesh, MeshFile
from ikto_core.disk.snapshot_writer import Keeper
from ikto_core.disk.state_file import StateFile
from ikto_core.errors import AddressInUseError, BackendError, first_cause
from ikto_core.lease.renewer import LeaseKeeper
from ikto_core.observers.event_diff import readiness
from ikto_core.observers.event_hub import Newsroom
from ikto_core.observers.runner import ObserverRun
from ikto_core.store.bucket import Bucket
from ikto_core.store.cancelling import cancellation_kept
from ikto_core.store.connection import Link
from ikto_core.store.pushes import listen
from ikto_core.store.session import Session
from ikto_core.underlay.monitor import Surroundings
from ikto_core.underlay.paths import has_route, host_name
from ikto_core.values.keys import PrivateKey

log = structlog.get_logger(__name__)


async def run_agent(terms: Terms, private_key: PrivateKey) -> None:
    """Open the backend and take part in the mesh until cancelled, whatever keys come. Raises as `Agent.run`."""
    config = terms.config
    context = BackendContext(ifname=config.wg_dev_name, state_dir=config.state_path(), netns=config.netns or None)
    async with terms.backend.open(context) as backend, _task_group() as tasks:
        for observer in terms.observers:
            tasks.create_task(observe(observer, terms.news))
        if terms.service_manager:
            tasks.create_task(systemd.tell(terms.news.until_ready()))
        while True:
            with cancellation_kept():  # which a TaskGroup that ends with a rotation may forget, up to Python 3.12
                agent = Agent(terms, private_key, backend)
                terms.on_agent(agent.report)
                await agent.run()
            private_key = load_private_key(terms.key_path) if terms.key_path else private_key


async def observe(observer: ObserverRun, news: Newsroom) -> None:
    """Tell an observer what is new, until cancelled; one that fails is opened anew."""
    while True:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(observer.attempt(news))
        await asyncio.sleep(observer.failed())


@asynccontextmanager
async def beside(running: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something for as long as the block lasts. If it ends with an error, so does the block, and raises that."""
    raised: BaseException | None = None  # not because of what runs
    async with _task_group(lambda: raised) as tasks:
        task = tasks.create_task(running)
        try:
            yield
            task.cancel()
            await asyncio.wait([task])  # here: a TaskGroup that is being left does not undo its cancelling of us
        except BaseException as error:
            raised = None if task.done() else error
            raise


@asynccontextmanager
async def _task_group(cause: Callable[[], BaseException | None] = lambda: None) -> AsyncIterator[asyncio.TaskGroup]:
    """Make a TaskGroup that raises the one error that says most, or `cause`, and no group."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        raise cause() or first_cause(group) from group


class Agent:
    """One node of a mesh, as long as it has one key."""

    def __init__(self, terms: Terms, private_key: PrivateKey, backend: Backend) -> None:
        config, random = terms.config, terms.random
        name, ifname = config.name or host_name(), config.wg_dev_name
        self._terms = terms
        self._ifname = ifname
        self._backend = backend
        self._surroundings = Surroundings(config)
        book = EndpointBook(private_key.public(), persistent_keepalive=config.persistent_keepalive, has_route=has_route)
        limits = BrakeLimits(share=config.removal_limit / 100)
        self._reconciler = Reconciler(backend, ifname, endpoints=book, limits=limits)
        self._reconciler.on_pass = self._tell_ready
        self._state = StateFile(config.state_path())
        self._keeper = Keeper(MeshFile(config.state_path()))
        claims = Claims(config, private_key.public(), self._state)
        self._membership = member = Membership(
            config,
            name=name,
            public_key=private_key.public(),
            aim=Aim(config, private_key, self._reconciler, self._keeper.changed, terms.news),
            claims=claims,
            candidates=Candidates(config, name, claims, terms.ipam.make(), random),
            random=random,
            on_standing=terms.on_standing,
        )
        self._rotation = Rotation(terms.key_path, member, self._reconciler, claims)
        self._leases = LeaseKeeper(config.lease_s, lambda: member.record, member.follower, random)
        self._link = Link(nats_settings(config, name), random, patient=member.had_claim)
        self.report = self._report(name)

    def _report(self, name: str) -> Report:
        return Report(
            self._terms.config,
            name,
            backend_name=self._terms.backend.name,
            membership=self._membership,
            reconciler=self._reconciler,
            link=self._link,
            backend=self._backend,
            keeper=self._keeper,
            state=self._state,
            rotation=self._rotation,
            leases=self._leases,
            observers=self._terms.observers,
        )

    async def run(self) -> None:
        """Take part in the mesh until cancelled, and answer on the unix socket; return when another key is to be used.

        Stopping leaves device and record in place; but a device whose address is not ours any more goes.

        Raises:
            AddressInUseError: Our address is somebody else's.
            ConfigError: The configuration contradicts the mesh's, no address to advertise can be found, or, as long as
                nothing was ever claimed, a file to log in with can't be used.
            NatsError: NATS can't be used; only as long as nothing was ever claimed, later it is tried for ever.
            IktoError: The socket can't be had.

        """
        answering = serve(self.report, self._terms.socket) if self._terms.socket else nullcontext()
        try:
            async with answering, asyncio.TaskGroup() as tasks:
                self._rotation.resume()
                await self._recall()
                tasks.create_task(self._keeper.run(self._to_keep))
                tasks.create_task(self._link.run(self._follow))
                tasks.create_task(self._reconciler.run())
                tasks.create_task(watch_device(self._backend, self._ifname, self._reconciler.distrust))
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
            log.warning("the device does not show what was kept", ifname=self._ifname, error=str(error))

    def _to_keep(self, now: float) -> KeptMesh | None:
        self._state.mend()
        kept = self._membership.to_keep(now)
        return msgspec.structs.replace(kept, mtu=self._reconciler.mtu) if kept else None

    def _tell_ready(self, shown: DeviceSpec) -> None:
        subnet, revision = self._membership.aim.subnet, self._reconciler.shown_revision
        if ready := readiness(subnet, shown.addresses, self._ifname, revision):
            self._terms.news.shows(ready)

    async def _follow(self, session: Session) -> None:
        """Follow the bucket and keep our record for as long as the session lives."""
        member, bucket = self._membership, Bucket(session, self._terms.config.nats_kv)
        advertised = await self._surroundings.address(session.server, patient=member.had_claim)
        if mtu := await self._surroundings.mtu(session.server):
            self._reconciler.fit(mtu)
            self._keeper.changed()
        await listen(session, bucket, member.follower)
        async with _task_group() as tasks:
            tasks.create_task(session.closed())
            tasks.create_task(member.follower.run(bucket))
            tasks.create_task(member.keep(bucket, advertised, self._claimed))
            tasks.create_task(self._rotation.run(bucket))
            if self._leases.lease_s:
                tasks.create_task(self._leases.run(bucket, bucket.renewals()))

    def _claimed(self) -> None:
        self._link.settled()
        self._leases.claimed.set()

    async def _let_go(self) -> None:
        """Stop using an address that is not ours, at once and for good."""
        log.error("letting go of the address: the device goes", ifname=self._ifname)
        self._membership.forget()
        try:
            await self._backend.delete(self._ifname)
        except BackendError as error:
            log.error("the device could not be removed", ifname=self._ifname, error=str(error))
