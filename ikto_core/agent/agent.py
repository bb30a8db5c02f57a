"""The agent: puts the rooms together and is the only place that starts tasks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import msgspec
import structlog

from ikto_core.admin.server import serve
from ikto_core.agent import systemd
from ikto_core.agent.key_rotation import KeyRotation
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.report import Report
from ikto_core.claim.address_candidates import AddressCandidates
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.local_node import nats_settings
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.device.backend import Backend, BackendContext
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.model import DeviceSpec
from ikto_core.device.reconciler import Reconciler
from ikto_core.device.removal_brake import BrakeLimits
from ikto_core.device.watch import watch_device
from ikto_core.disk.key_file import load_private_key
from ikto_core.disk.mesh_snapshot import MeshSnapshot, SnapshotFile
from ikto_core.disk.snapshot_writer import SnapshotWriter
from ikto_core.disk.state_file import StateFile
from ikto_core.errors import AddressInUseError, BackendError, first_cause
from ikto_core.lease.renewer import LeaseRenewer
from ikto_core.observers.event_diff import readiness
from ikto_core.observers.event_hub import EventHub
from ikto_core.observers.runner import ObserverRun
from ikto_core.store.bucket import Bucket
from ikto_core.store.cancelling import cancellation_kept
from ikto_core.store.connection import Connection
from ikto_core.store.pushes import listen
from ikto_core.store.session import Session
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.underlay.paths import has_route, host_name
from ikto_core.values.keys import PrivateKey

log = structlog.get_logger(__name__)


async def run_agent(options: AgentOptions, private_key: PrivateKey) -> None:
    """Open the backend and take part in the mesh until cancelled, whatever keys come. Raises as `Agent.run`."""
    config = options.config
    context = BackendContext(ifname=config.wg_dev_name, state_dir=config.state_path(), netns=config.netns or None)
    async with options.backend.open(context) as backend, _task_group() as tasks:
        for observer in options.observers:
            tasks.create_task(observe(observer, options.event_hub))
        if options.service_manager:
            tasks.create_task(systemd.tell(options.event_hub.until_ready()))
        while True:
            with cancellation_kept():  # which a TaskGroup that ends with a rotation may forget, up to Python 3.12
                agent = Agent(options, private_key, backend)
                options.on_agent(agent.report)
                await agent.run()
            private_key = load_private_key(options.key_path) if options.key_path else private_key


async def observe(observer: ObserverRun, event_hub: EventHub) -> None:
    """Tell an observer what is new, until cancelled; one that fails is opened anew."""
    while True:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(observer.attempt(event_hub))
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

    def __init__(self, options: AgentOptions, private_key: PrivateKey, backend: Backend) -> None:
        config, random = options.config, options.random
        name, ifname = config.name or host_name(), config.wg_dev_name
        self._options = options
        self._ifname = ifname
        self._backend = backend
        self._underlay = UnderlayMonitor(config)
        endpoints = EndpointTracker(
            private_key.public(), persistent_keepalive=config.persistent_keepalive, has_route=has_route
        )
        limits = BrakeLimits(share=config.removal_limit / 100)
        self._reconciler = Reconciler(backend, ifname, endpoints=endpoints, limits=limits)
        self._reconciler.on_pass = self._tell_ready
        self._state = StateFile(config.state_path())
        self._snapshot_writer = SnapshotWriter(SnapshotFile(config.state_path()))
        saved_claim = SavedClaim(config, private_key.public(), self._state)
        self._controller = member = ClaimController(
            config,
            name=name,
            public_key=private_key.public(),
            desired_state=DesiredState(
                config, private_key, self._reconciler, self._snapshot_writer.changed, options.event_hub
            ),
            saved_claim=saved_claim,
            candidates=AddressCandidates(config, name, saved_claim, options.ipam.make(), random),
            random=random,
            on_claim_change=options.on_claim_change,
        )
        self._rotation = KeyRotation(options.key_path, member, self._reconciler, saved_claim)
        self._leases = LeaseRenewer(config.lease_s, lambda: member.record, member.follower, random)
        self._connection = Connection(nats_settings(config, name), random, patient=member.has_saved_claim)
        self.report = self._report(name)

    def _report(self, name: str) -> Report:
        return Report(
            self._options.config,
            name,
            backend_name=self._options.backend.name,
            controller=self._controller,
            reconciler=self._reconciler,
            connection=self._connection,
            backend=self._backend,
            snapshot_writer=self._snapshot_writer,
            state=self._state,
            rotation=self._rotation,
            leases=self._leases,
            observers=self._options.observers,
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
        answering = serve(self.report, self._options.socket) if self._options.socket else nullcontext()
        try:
            async with answering, asyncio.TaskGroup() as tasks:
                self._rotation.resume()
                await self._restore_snapshot()
                tasks.create_task(self._snapshot_writer.run(self._snapshot))
                tasks.create_task(self._connection.run(self._follow))
                tasks.create_task(self._reconciler.run())
                tasks.create_task(watch_device(self._backend, self._ifname, self._reconciler.distrust))
                await self._until_the_end()
        except BaseExceptionGroup as group:
            if self._rotation.done.is_set():
                return
            cause = first_cause(group)
            if isinstance(cause, AddressInUseError) and self._controller.has_saved_claim:
                await self._let_go()
            raise cause from group

    async def _until_the_end(self) -> None:
        try:
            await self._rotation.ended()
        finally:
            self._connection.end()

    async def _restore_snapshot(self) -> None:
        """Have the device show what was kept, before NATS is dialled; what fails now is tried again later."""
        self._controller.restore_snapshot(kept := self._snapshot_writer.load())
        if kept and kept.mtu:  # what fits the way to peers is found again when there is a way
            self._reconciler.fit(kept.mtu)
        try:
            await self._reconciler.reconcile()
        except BackendError as error:
            log.warning("the device does not show what was kept", ifname=self._ifname, error=str(error))

    def _snapshot(self, now: float) -> MeshSnapshot | None:
        self._state.mend()
        kept = self._controller.snapshot(now)
        return msgspec.structs.replace(kept, mtu=self._reconciler.mtu) if kept else None

    def _tell_ready(self, shown: DeviceSpec) -> None:
        subnet, revision = self._controller.desired_state.subnet, self._reconciler.shown_revision
        if ready := readiness(subnet, shown.addresses, self._ifname, revision):
            self._options.event_hub.set_ready(ready)

    async def _follow(self, session: Session) -> None:
        """Follow the bucket and keep our record for as long as the session lives."""
        member, bucket = self._controller, Bucket(session, self._options.config.nats_kv)
        advertised = await self._underlay.address(session.server, patient=member.has_saved_claim)
        if mtu := await self._underlay.mtu(session.server):
            self._reconciler.fit(mtu)
            self._snapshot_writer.changed()
        await listen(session, bucket, member.follower)
        async with _task_group() as tasks:
            tasks.create_task(session.closed())
            tasks.create_task(member.follower.run(bucket))
            tasks.create_task(member.keep(bucket, advertised, self._claimed))
            tasks.create_task(self._rotation.run(bucket))
            if self._leases.lease_s:
                tasks.create_task(self._leases.run(bucket, bucket.renewals()))

    def _claimed(self) -> None:
        self._connection.settled()
        self._leases.claimed.set()

    async def _let_go(self) -> None:
        """Stop using an address that is not ours, at once and for good."""
        log.error("letting go of the address: the device goes", ifname=self._ifname)
        self._controller.forget()
        try:
            await self._backend.delete(self._ifname)
        except BackendError as error:
            log.error("the device could not be removed", ifname=self._ifname, error=str(error))
