"""A machine that runs Ikto: the real claim controller with a disk and a fake device, driven by events."""

from collections.abc import Iterator
from functools import partial

import msgspec

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.agent.from_config import local_node
from ikto_core.claim.address_candidates import AddressCandidates
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.local_node import LocalNode
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.claim.signing import RecordSigner
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.state_file import SavedState, StateFile
from ikto_core.errors import AddressInUseError, NatsError
from ikto_core.ipam.contract import IpamRequest
from ikto_core.mesh.change_limit import EVERY_S
from ikto_core.mesh.records import PeerRecord, record_key
from ikto_core.mesh.view import Entry
from ikto_core.values.addressing import Prefix
from tests.claim_model.digest import CountingRandom
from tests.claim_model.events import (
    IFNAME,
    PUBLIC_KEYS,
    Answer,
    Event,
    FollowerRead,
    MachineView,
    Phase,
    PlainEvent,
    Spec,
    Start,
)
from tests.claim_model.kv import Get, Kv, Put, read
from tests.claim_model.stepping import SteppedLoop, Stepper, ask, run_at_once

SUBNETS = ("10.0.0.16/28", "10.0.0.32/28", "10.0.0.48/28")


class Disk(StateFile):
    """A state file on a disk that never fails."""

    def __init__(self) -> None:
        self.failure = ""
        self.saved = SavedState()

    def load(self) -> SavedState:
        return self.saved

    def save(self, state: SavedState) -> None:
        self.saved = state


class LowestFirst:
    """Proposes the lowest free subnet, so that nodes that start together collide."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return (subnet for subnet in map(Prefix.parse, SUBNETS) if subnet not in request.taken)


class Machine:
    """A running machine. It is the RecordStore of its claim controller: the explorer answers each request."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._public_key = PUBLIC_KEYS[spec.key]
        self._disk = Disk()
        self._host = FakeHost()
        self._backend = FakeBackend(self._host)
        self._run = self._era = 0
        self._now_s = 0.0  # passes with the bucket's revisions, so that no change of a record has to wait
        self._phase = Phase.OFF
        self._unjustified = ""
        self._confirmed: set[str] = set()  # KV keys under which the leader has confirmed an own record
        self._begin()

    def _begin(self) -> None:
        """Make a new agent, which knows only what is on the disk."""
        self._reconciler = Reconciler(self._backend, IFNAME)
        node, key, name = self._node(), self._spec.private_key, self._spec.name
        self._saved_claim = saved_claim = SavedClaim(node, self._public_key, self._disk)
        random = CountingRandom(f"{name}, run {self._run}")
        self._controller = ClaimController(
            node,
            signer=RecordSigner(key, node.bucket, saved_claim, random, lambda: self._controller.follower.revision),
            desired_state=DesiredState(node, key, self._reconciler, lambda: None, clock=lambda: self._now_s),
            saved_claim=saved_claim,
            candidates=AddressCandidates(node, saved_claim, LowestFirst(), random),
            random=random,
        )
        self._keep_trying = self._controller.has_saved_claim
        self._loop = SteppedLoop()
        self._stepper: Stepper | None = None
        self._followed: Kv | None = None
        self._foreign: set[str] = set()
        self._saw_copy = False
        self._refused: dict[str, int] = {}  # era of the answer by KV key
        self._owned_in: dict[str, int] = {}  # era in which the leader confirmed an own record, by KV key

    def _node(self) -> LocalNode:
        node: LocalNode = msgspec.structs.replace(local_node(self._spec.config(self._run)), name=self._spec.name)
        return node

    async def get(self, key: str) -> Entry | None:
        answer = await ask(Get(key))
        assert answer is None or isinstance(answer, Entry)
        return answer

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:
        owns = self._owned_in.get(key) == self._era
        answer = await ask(Put(key, value, expected, self._public_key, self._era, owns))
        assert isinstance(answer, int)
        return answer

    # -- events --------------------------------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Apply an event, and run the agent until it waits again."""
        owned = self._controller.record
        try:
            self._dispatch(event)
        except AddressInUseError:
            self._stop()
        except NatsError:  # as `Connection` handles it
            self._stepper = None
            if self._keep_trying:
                self._disconnect()
            else:
                self._end()
        if self._phase in (Phase.ON, Phase.REDIALLING):
            run_at_once(self._reconciler.reconcile())
        self._check_losses(owned)

    def _dispatch(self, event: Event) -> None:
        match event:
            case Start(disk):
                self._start(disk)
            case FollowerRead(kv):
                self._follow(kv)
            case Answer(value, era):
                self._era = era
                self._answer(value)
            case PlainEvent.WAKE:
                self._loop.wake()
                self._running.poll()
            case PlainEvent.CRASH:
                self._end()
            case PlainEvent.RECONNECT:
                self._disconnect()
                self._connect()

    @property
    def _running(self) -> Stepper:
        assert self._stepper
        return self._stepper

    def _start(self, disk: SavedState | None) -> None:
        self._disk.saved = disk or self._disk.saved
        self._run += 1
        self._begin()
        if claim := self._disk.saved.claim:
            self._confirmed.add(record_key(str(self._node().subnet_of(claim.private_address))))
        self._controller.resuming.restore(None, 7.0)
        self._connect()

    def _connect(self) -> None:
        self._phase = Phase.ON
        self._controller.advertise(("192.0.2.1",))
        keeping = self._controller.keep(self, partial(setattr, self, "_keep_trying", True))
        self._stepper = Stepper(keeping, self._loop)
        self._stepper.resume()

    def _disconnect(self) -> None:
        if self._stepper:
            self._stepper.cancel()
        self._phase, self._stepper, self._followed = Phase.REDIALLING, None, None
        self._controller.follower.disconnected()

    def _end(self) -> None:
        """End the agent; disk and device stay, and the service manager may start it again."""
        self._phase = Phase.OFF
        self._begin()

    def _follow(self, kv: Kv) -> None:
        self._followed = kv
        self._now_s = max(self._now_s, EVERY_S * kv.revision)
        for key, record in kv.records().items():
            self._note_record(key, record)
        run_at_once(self._controller.follower.resync(kv))
        self._running.poll()

    def _answer(self, value: Entry | int | type[NatsError] | None) -> None:
        asked = self._running.request
        assert asked
        if isinstance(value, type):
            self._running.fail(value("injected by the explorer"))
            return
        if isinstance(asked, Get):
            self._refused.pop(asked.key, None)
        found = value.value if isinstance(value, Entry) else asked.value if isinstance(asked, Put) else None
        if found is not None:
            record = read(asked.key, found)
            self._note_record(asked.key, record)
            if record.name == self._spec.name:
                self._confirmed.add(asked.key)
                self._owned_in[asked.key] = self._era
            elif (
                record.public_key != self._public_key and not record.left and self._owned_in.get(asked.key) != self._era
            ):
                self._refused[asked.key] = self._era
        self._running.resume(value)

    def _stop(self) -> None:
        """End as `Agent.run` does when its address belongs to another node."""
        self._phase, self._stepper = Phase.STOPPED, None
        if self._controller.has_saved_claim:
            self._saved_claim.forget()
            run_at_once(self._backend.delete(IFNAME))

    # -- observation ---------------------------------------------------------------------------------------------------

    def _note_record(self, key: str, record: PeerRecord) -> None:
        if record.name != self._spec.name:
            self._foreign.add(key)
            self._saw_copy |= record.public_key == self._public_key

    def _check_losses(self, owned: PeerRecord | None) -> None:
        """Note what the agent gave up although it saw no record of another machine."""
        if self._saw_copy or self._phase is Phase.OFF:
            return
        if owned and owned.key not in self._foreign and (self._phase is Phase.STOPPED or self._own_key() != owned.key):
            self._unjustified = f"it gives up {owned.allowed_ip}"
        elif self._phase is Phase.STOPPED and not self._configured_keys() <= self._foreign:
            self._unjustified = "it stops"

    def _configured_keys(self) -> set[str]:
        """Return the KV key of the configured subnet; if none is, those of all that may be chosen."""
        config = self._spec.config(self._run)
        return {record_key(str(config.subnet))} if config.subnet else {record_key(subnet) for subnet in SUBNETS}

    def _own_key(self) -> str | None:
        return self._controller.record.key if self._controller.record else None

    def view(self) -> MachineView:
        """Return the machine's present state."""
        record = self._controller.record if self._phase in (Phase.ON, Phase.REDIALLING) else None
        return MachineView(
            phase=self._phase,
            run=self._run,
            request=self._stepper.request if self._stepper else None,
            sleeping=self._loop.sleeping,
            followed=self._followed,
            record=record,
            device=self._device(),
            confirmed=record is None or record.key in self._confirmed,
            disk=self._disk.saved,
            foreign=frozenset(self._foreign),
            refused=frozenset(self._refused_so_far()),
            unjustified=self._unjustified,
        )

    def _refused_so_far(self) -> Iterator[str]:
        """Yield the KV keys that the leader refused, once the follower has read the bucket of that era."""
        era = self._followed.era if self._followed else -1
        return (key for key, refused_in in self._refused.items() if refused_in <= era)

    def _device(self) -> str | None:
        """Return the KV key of the subnet of the device's address."""
        device = self._host.device(IFNAME)
        addresses = [str(interface.ip) for interface in device.addresses] if device else []
        return record_key(str(self._node().subnet_of(addresses[0]))) if addresses else None
