"""The agent: runs the parts, and is the only place that starts tasks."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Any

import structlog

from ikto_core.admin.metrics_listener import serve_metrics
from ikto_core.admin.server import AdminServer, metrics_answer, serve
from ikto_core.agent import systemd
from ikto_core.agent.from_config import backend_context
from ikto_core.agent.locks import agent_locks
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.parts import AgentParts
from ikto_core.agent.report import Report
from ikto_core.agent.starting import log_start, require_right, restore_device
from ikto_core.agent.task_group import task_group
from ikto_core.device.bounded_backend import BoundedBackend, open_bounded
from ikto_core.device.watch import watch_device
from ikto_core.disk.key_file import load_private_key
from ikto_core.errors import AddressInUseError, BackendError, first_cause
from ikto_core.observers.event_hub import EventHub
from ikto_core.observers.runner import ObserverRun
from ikto_core.store.bucket import Bucket
from ikto_core.store.cancelling import preserve_cancellation
from ikto_core.store.pushes import listen
from ikto_core.store.session import Session
from ikto_core.values.keys import PrivateKey

log = structlog.get_logger(__name__)


async def run_agent(options: AgentOptions, private_key: PrivateKey) -> None:
    """Run agents, one after each key rotation, until cancelled. Raises as `Agent.run`.

    Raises IktoError if another agent has the same state directory or device, too.
    """
    sockets = [path for path in (options.socket, options.fallback_socket) if path]
    with agent_locks(options.config, options.backend, sockets):
        await _run_agents(options, private_key)


async def _run_agents(options: AgentOptions, private_key: PrivateKey) -> None:
    config = options.config
    start = asyncio.get_running_loop().create_task  # outside a TaskGroup, see bounded_backend
    async with open_bounded(options.backend, backend_context(config), start) as backend, task_group() as tasks:
        tasks.create_task(options.journal.run(options.event_hub))
        for observer in options.observers:
            tasks.create_task(run_observer(observer, options.event_hub))
        is_first = True
        while True:
            with preserve_cancellation():  # up to Python 3.12 a TaskGroup that a rotation ends may lose a cancellation
                agent = Agent(options, private_key, backend, announce=is_first)
                is_first = False
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

    def __init__(
        self, options: AgentOptions, private_key: PrivateKey, backend: BoundedBackend, *, announce: bool = False
    ) -> None:
        self._announce = announce  # log a summary: it is the first agent of this process
        self._options = options
        self._backend = backend
        self._parts = AgentParts(options, private_key, backend)
        self._ifname = self._parts.node.ifname

    @property
    def report(self) -> Report:
        """What the admin interface serves."""
        return self._parts.report

    async def run(self) -> None:
        """Take part in the mesh and serve the admin interface, until cancelled; return when the key was rotated.

        Device and record stay when the agent stops. The device is deleted if its address belongs to another node now.

        Raises:
            AddressInUseError: The subnet belongs to another node.
            ConfigError: The configuration contradicts the mesh's, no address to advertise is found, or, while
                nothing was ever claimed, a file to log in with can't be used; NotEntitledError if it gives no right.
            ForeignDeviceError: The device has a private key that is none of this node's.
            NatsError: NATS can't be used; only while nothing was ever claimed, later it is retried for ever.
            IktoError: The socket can't be used.
            LeftMeshError: An operator had the agent leave the mesh, or take the device down.

        """
        require_right(self._parts)
        try:
            async with self._serve_admin() as server, self._serve_metrics(), asyncio.TaskGroup() as tasks:
                self._start_reporting(tasks, server)
                await self._restore()
                self._start_parts(tasks)
                await self._until_rotated()
        except BaseExceptionGroup as group:
            if self._parts.rotation.done.is_set():
                return
            cause = first_cause(group)
            await self._give_up_device(cause)
            raise cause from group

    async def _restore(self) -> None:
        """Show the mesh as it was known last, before NATS is asked."""
        self._parts.rotation.resume()
        await self._parts.underlay.look()
        await restore_device(self._parts)
        if self._announce:
            log_start(self._options, self._parts)

    def _start_parts(self, tasks: asyncio.TaskGroup) -> None:
        """Start what runs with and without NATS."""
        parts = self._parts
        tasks.create_task(parts.underlay.watch())
        tasks.create_task(parts.underlay.follow_peers())
        tasks.create_task(parts.follow_live_settings())
        tasks.create_task(parts.snapshot_writer.run(parts.snapshot))
        tasks.create_task(parts.connection.run(self._follow))
        tasks.create_task(parts.reconciler.run())
        tasks.create_task(parts.prober.run())
        tasks.create_task(parts.departure.run())
        if parts.node.user:
            tasks.create_task(parts.node.user.watch(parts.controller.recheck.request))
        if parts.revoked_users:
            tasks.create_task(parts.revoked_users.watch())
        tasks.create_task(watch_device(self._backend, self._ifname, parts.reconciler.request_full_pass))

    async def _give_up_device(self, cause: BaseException) -> None:
        """Delete the device if the agent ends because it must not have it, or before a peer knows it."""
        parts = self._parts
        if isinstance(cause, AddressInUseError) and parts.controller.has_saved_claim:
            await self._release_address()
        elif parts.reconciler.own_device.created and not parts.controller.has_saved_claim:
            await self._delete_device()  # nothing was claimed: no peer knows this device

    def _serve_admin(self) -> AbstractAsyncContextManager[AdminServer | None]:
        socket, fallback = self._options.socket, self._options.fallback_socket
        return serve(self.report, socket, fallback) if socket else nullcontext()

    def _start_reporting(self, tasks: asyncio.TaskGroup, server: AdminServer | None) -> None:
        if server:
            tasks.create_task(server.keep_path())
        if self._options.service_manager:
            until_ready = self._options.event_hub.until_ready
            tasks.create_task(systemd.notify_always(self.report.condition.service_state, until_ready))

    def _serve_metrics(self) -> AbstractAsyncContextManager[None]:
        return serve_metrics(partial(metrics_answer, self.report), self._options.config.metrics_listen)

    async def _until_rotated(self) -> None:
        try:
            await self._parts.rotation.ended()
        finally:
            self._parts.connection.stop()

    async def _follow(self, session: Session) -> None:
        """Follow the bucket and keep this node's record in it, for as long as the session lives."""
        parts, controller = self._parts, self._parts.controller
        bucket = Bucket(session, parts.node.bucket)
        if parts.node.user:
            parts.node.user.reload()  # before the record is compared with the bucket's
        parts.warn_if_nats_is_inside(session)
        await parts.underlay.connected(session.server, keep_trying=controller.has_saved_claim)
        controller.advertise(parts.underlay.found.addresses)
        await listen(session, bucket, controller.follower)
        try:
            with parts.questions.over(session):
                await self._run_session(session, bucket)
        finally:
            parts.reconciler.set_bucket_followed(followed=False)

    async def _run_session(self, session: Session, bucket: Bucket) -> None:
        parts, controller = self._parts, self._parts.controller
        async with task_group() as tasks:
            tasks.create_task(session.closed())
            tasks.create_task(controller.follower.run(bucket))
            tasks.create_task(self._note_followed())
            tasks.create_task(controller.keep(bucket, self._on_claimed))
            tasks.create_task(parts.rotation.run(bucket))
            tasks.create_task(self._expire())
            tasks.create_task(parts.departure.withdraw_lease(bucket))
            if parts.responder:
                tasks.create_task(parts.responder.run(session))
            if parts.leases.lease_s:
                tasks.create_task(parts.leases.run(bucket, bucket.renewals()))

    async def _note_followed(self) -> None:
        await self._parts.controller.follower.synced.wait()
        self._parts.reconciler.set_bucket_followed(followed=True)

    async def _expire(self) -> None:
        await self._parts.controller.follower.synced.wait()
        await self._parts.desired_state.expire_regularly()

    def _on_claimed(self) -> None:
        self._parts.connection.mark_healthy()
        self._parts.leases.claimed.set()

    async def _release_address(self) -> None:
        """Stop using an address that belongs to another node, at once and for good."""
        log.error("releasing the address, deleting the device", ifname=self._ifname)
        self._parts.saved_claim.forget()
        await self._delete_device()

    async def _delete_device(self) -> None:
        try:
            await self._parts.reconciler.own_device.delete()
        except BackendError as error:
            log.error("device not deleted", ifname=self._ifname, error=str(error), hint=error.hint)
