"""The agent: puts the rooms together, and is the only place that starts tasks."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import msgspec
import structlog

from ikto_core.admin.server import serve
from ikto_core.agent import systemd
from ikto_core.agent.from_config import local_node, nats_settings
from ikto_core.agent.key_rotation import KeyRotation
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.report import Report
from ikto_core.agent.task_group import task_group
from ikto_core.claim.address_candidates import AddressCandidates
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.device.backend import BackendContext
from ikto_core.device.bounded_backend import BoundedBackend, open_bounded
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
from ikto_core.observers.event_diff import mesh_ready
from ikto_core.observers.event_hub import EventHub
from ikto_core.observers.runner import ObserverRun
from ikto_core.store.bucket import Bucket
from ikto_core.store.cancelling import preserve_cancellation
from ikto_core.store.connection import Connection
from ikto_core.store.pushes import listen
from ikto_core.store.session import Session
from ikto_core.underlay.handshake_probe import Prober
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.underlay.paths import Underlay
from ikto_core.underlay.routes import has_address
from ikto_core.values.keys import PrivateKey, PublicKey

log = structlog.get_logger(__name__)


async def run_agent(options: AgentOptions, private_key: PrivateKey) -> None:
    """Open the backend and run agents, one after each key rotation, until cancelled. Raises as `Agent.run`."""
    config = options.config
    context = BackendContext(ifname=config.wg_dev_name, state_dir=config.state_path(), netns=config.netns or None)
    start = asyncio.get_running_loop().create_task  # outside a TaskGroup, see bounded_backend
    async with open_bounded(options.backend, context, start) as backend, task_group() as tasks:
        for observer in options.observers:
            tasks.create_task(run_observer(observer, options.event_hub))
        while True:
            with preserve_cancellation():  # up to Python 3.12 a TaskGroup that a rotation ends may lose a cancellation
                agent = Agent(options, private_key, backend)
                options.on_agent(agent.report)
                await agent.run()
            private_key = load_private_key(options.key_path) if options.key_path else private_key


async def run_observer(observer: ObserverRun, event_hub: EventHub) -> None:
    """Run an observer until cancelled; one that fails is opened again."""
    while True:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(observer.attempt(event_hub))
        await asyncio.sleep(observer.record_failure())


@asynccontextmanager
async def running(coroutine: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a coroutine for as long as the block lasts. If it raises, the block is cancelled and the error raised."""
    raised: BaseException | None = None  # by the block itself
    async with task_group(lambda: raised) as tasks:
        task = tasks.create_task(coroutine)
        try:
            yield
            task.cancel()
            await asyncio.wait([task])  # not in TaskGroup.__aexit__, which would hide a cancellation of the block
        except BaseException as error:
            raised = None if task.done() else error
            raise


class Agent:
    """One node of a mesh, for as long as it has one key."""

    def __init__(self, options: AgentOptions, private_key: PrivateKey, backend: BoundedBackend) -> None:
        config, random, public_key = options.config, options.random, private_key.public()
        node = local_node(config)
        self._options = options
        self._node = node
        self._backend = backend
        self._underlay = UnderlayMonitor(config.advertised, config.mesh, config.wg_dev_name, fwmark=config.fwmark)
        self._underlay.on_change = self._use_underlay
        endpoints = EndpointTracker(
            persistent_keepalive=config.persistent_keepalive, has_route=self._underlay.reaches, mesh=config.mesh
        )
        limits = BrakeLimits(share=config.removal_limit / 100)
        self._reconciler = Reconciler(backend, node.ifname, endpoints=endpoints, limits=limits, own_key=public_key)
        self._reconciler.on_pass = self._report_ready
        self._reconciler.on_contact = self._probe
        self._underlay.on_move = self._reconciler.renew_endpoints
        self._prober = Prober(lambda: self._reconciler.private_address, config.netns)
        self._state_file = StateFile(config.state_path())
        self._snapshot_writer = SnapshotWriter(SnapshotFile(config.state_path()))
        self._saved_claim = SavedClaim(node, public_key, self._state_file)
        self._controller = ClaimController(
            node,
            public_key=public_key,
            desired_state=self._desired_state(private_key),
            saved_claim=self._saved_claim,
            candidates=AddressCandidates(node, self._saved_claim, options.ipam.make(), random),
            random=random,
            on_claim_change=options.on_claim_change,
        )
        self._rotation = KeyRotation(options.key_path, self._controller, self._reconciler, self._saved_claim)
        self._leases = LeaseRenewer(node.lease_s, lambda: self._controller.record, self._controller.follower, random)
        keep_trying = self._controller.has_saved_claim
        self._connection = Connection(nats_settings(config, node.name), random, keep_trying=keep_trying)
        self.report = self._make_report()

    def _desired_state(self, private_key: PrivateKey) -> DesiredState:
        request_write, event_hub = self._snapshot_writer.request_write, self._options.event_hub
        return DesiredState(self._node, private_key, self._reconciler, request_write, event_hub)

    def _make_report(self) -> Report:
        return Report(
            self._node,
            backend_name=self._options.backend.name,
            controller=self._controller,
            reconciler=self._reconciler,
            connection=self._connection,
            backend=self._backend,
            snapshot_writer=self._snapshot_writer,
            state=self._state_file,
            rotation=self._rotation,
            leases=self._leases,
            observers=self._options.observers,
        )

    async def run(self) -> None:
        """Take part in the mesh and serve the admin interface, until cancelled; return when the key was rotated.

        Device and record stay when the agent stops. The device is deleted if its address belongs to another node now.

        Raises:
            AddressInUseError: The subnet belongs to another node.
            ConfigError: The configuration contradicts the mesh's, no address to advertise is found, or, while
                nothing was ever claimed, a file to log in with can't be used.
            NatsError: NATS can't be used; only while nothing was ever claimed, later it is retried for ever.
            IktoError: The socket can't be used.

        """
        serving = serve(self.report, self._options.socket) if self._options.socket else nullcontext()
        try:
            async with serving, asyncio.TaskGroup() as tasks:
                if self._options.service_manager:
                    until_ready = self._options.event_hub.until_ready
                    tasks.create_task(systemd.notify_always(self.report.service_state, until_ready))
                self._rotation.resume()
                await self._underlay.look()
                await self._restore_snapshot()
                tasks.create_task(self._underlay.watch())
                tasks.create_task(self._snapshot_writer.run(self._snapshot))
                tasks.create_task(self._connection.run(self._follow))
                tasks.create_task(self._reconciler.run())
                tasks.create_task(self._prober.run())
                tasks.create_task(watch_device(self._backend, self._node.ifname, self._reconciler.request_full_pass))
                await self._until_rotated()
        except BaseExceptionGroup as group:
            if self._rotation.done.is_set():
                return
            cause = first_cause(group)
            if isinstance(cause, AddressInUseError) and self._controller.has_saved_claim:
                await self._release_address()
            elif self._reconciler.created_device and not self._controller.has_saved_claim:
                await self._delete_device()  # nothing was claimed: no peer knows this device
            raise cause from group

    async def _until_rotated(self) -> None:
        try:
            await self._rotation.ended()
        finally:
            self._connection.stop()

    async def _restore_snapshot(self) -> None:
        """Set the device from the snapshot before NATS is dialled; a failure is retried by the reconciler."""
        snapshot = self._snapshot_writer.load()
        self._controller.restore_snapshot(snapshot)
        if snapshot and snapshot.mtu and not self._underlay.found.mtu:  # no path yet, as at boot
            self._reconciler.set_mtu(snapshot.mtu)
        if snapshot:
            self._reconciler.restore_sessions(PublicKey.parse(text) for text in snapshot.sessions)
        try:
            await self._reconciler.reconcile()
        except BackendError as error:
            ifname = self._node.ifname
            log.warning("device not restored from the snapshot", ifname=ifname, error=str(error), hint=error.hint)

    def _snapshot(self, now: float) -> MeshSnapshot | None:
        self._state_file.retry_save()
        snapshot = self._controller.snapshot(now)
        if snapshot is None:
            return None
        sessions = tuple(sorted(key.text for key in self._reconciler.recent_sessions()))
        return msgspec.structs.replace(snapshot, mtu=self._reconciler.mtu, sessions=sessions)

    def _probe(self, keys: Iterable[PublicKey]) -> None:
        """Send to these peers, so that WireGuard makes sessions with them at once."""
        peers = self._controller.view.peers
        self._prober.request(peers[key].records[0].record.device_address for key in keys if key in peers)

    def _report_ready(self, shown: DeviceSpec) -> None:
        revision = self._reconciler.shown_revision
        if ready := mesh_ready(self._controller.subnet, shown.addresses, self._node.ifname, revision):
            self._options.event_hub.set_ready(ready)

    async def _follow(self, session: Session) -> None:
        """Follow the bucket and keep this node's record in it, for as long as the session lives."""
        controller, bucket = self._controller, Bucket(session, self._node.bucket)
        await self._underlay.connected(session.server, keep_trying=controller.has_saved_claim)
        controller.advertise(self._underlay.found.addresses)
        await listen(session, bucket, controller.follower)
        try:
            async with task_group() as tasks:
                tasks.create_task(session.closed())
                tasks.create_task(controller.follower.run(bucket))
                tasks.create_task(self._note_followed())
                tasks.create_task(controller.keep(bucket, self._on_claimed))
                tasks.create_task(self._rotation.run(bucket))
                if self._leases.lease_s:
                    tasks.create_task(self._leases.run(bucket, bucket.renewals()))
        finally:
            self._reconciler.set_bucket_followed(followed=False)

    def _use_underlay(self, found: Underlay) -> None:
        """Advertise these addresses and set the MTU; endpoints may have a route now, or NATS none any more."""
        self._connection.end_session_without(has_address)
        self._controller.advertise(found.addresses)
        if found.mtu:
            self._reconciler.set_mtu(found.mtu)
            self._snapshot_writer.request_write()
        self._reconciler.request_full_pass()

    async def _note_followed(self) -> None:
        await self._controller.follower.synced.wait()
        self._reconciler.set_bucket_followed(followed=True)

    def _on_claimed(self) -> None:
        self._connection.mark_healthy()
        self._leases.claimed.set()

    async def _release_address(self) -> None:
        """Stop using an address that belongs to another node, at once and for good."""
        log.error("releasing the address, deleting the device", ifname=self._node.ifname)
        self._controller.forget()
        await self._delete_device()

    async def _delete_device(self) -> None:
        try:
            await self._backend.delete(self._node.ifname)
        except BackendError as error:
            log.error("device not deleted", ifname=self._node.ifname, error=str(error), hint=error.hint)
