"""A machine that runs Ikto: the real membership on a disk and a device, moved by the events that happen to it."""

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
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.state_file import SavedState, StateFile
from ikto_core.errors import AddressInUseError, NatsError
from ikto_core.ipam.contract import IpamRequest
from ikto_core.mesh.records import PeerRecord, record_key
from ikto_core.mesh.view import Entry
from ikto_core.values.addressing import Prefix
from tests.claim_model.digest import Dice
from tests.claim_model.events import IFNAME, PUBLIC_KEYS, Answer, Event, Happening, Hear, Look, Phase, Spec, Start
from tests.claim_model.kv import Get, Kv, Put, read
from tests.claim_model.stepping import HeldLoop, Stepper, ask, run_at_once


class Disk(StateFile):
    """A state file on a disk that never fails."""

    def __init__(self) -> None:
        self.failure = ""
        self.kept = SavedState()

    def load(self) -> SavedState:
        return self.kept

    def save(self, kept: SavedState) -> None:
        self.kept = kept


class LowestFirst:
    """Proposes the lowest free subnet: who asks at once collides."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        subnets = (Prefix.parse(f"10.0.0.{number}/28") for number in (16, 32, 48))
        return (subnet for subnet in subnets if subnet not in request.taken)


class Machine:
    """A machine in motion. It is the RecordStore of its own membership: its requests stop at the explorer."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._public_key = PUBLIC_KEYS[spec.key]
        self._disk = Disk()
        self._host = FakeHost()
        self._backend = FakeBackend(self._host)
        self._run = self._era = 0
        self._phase = Phase.OFF
        self._groundless = ""
        self._proofs: set[str] = set()  # keys under which the leader has said that a record of ours stands
        self._begin()

    def _begin(self) -> None:
        """Have an agent in memory that knows nothing but what the disk tells it."""
        self._reconciler = Reconciler(self._backend, IFNAME)
        node, key, name = self._node(), self._spec.private_key, self._spec.name
        saved_claim = SavedClaim(node, self._public_key, self._disk)
        dice = Dice(f"{name}, run {self._run}")
        self._controller = ClaimController(
            node,
            public_key=self._public_key,
            desired_state=DesiredState(node, key, self._reconciler, lambda: None),
            saved_claim=saved_claim,
            candidates=AddressCandidates(node, saved_claim, LowestFirst(), dice),
            random=dice,
        )
        self._patient = self._controller.has_saved_claim
        self._loop = HeldLoop()
        self._stepper: Stepper | None = None
        self._heard: Kv | None = None
        self._shown: set[str] = set()
        self._copied = False
        self._denied: set[str] = set()

    def _node(self) -> LocalNode:
        node: LocalNode = msgspec.structs.replace(local_node(self._spec.config(self._run)), name=self._spec.name)
        return node

    async def get(self, key: str) -> Entry | None:
        answer = await ask(Get(key))
        assert answer is None or isinstance(answer, Entry)
        return answer

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:
        answer = await ask(Put(key, value, expected, self._public_key, self._era))
        assert isinstance(answer, int)
        return answer

    # -- moving --------------------------------------------------------------------------------------------------------

    def happens(self, event: Event) -> None:
        """Let something happen, and go on until there is nothing more to do about it."""
        owned = self._controller.record
        try:
            self._move(event)
        except AddressInUseError:
            self._stop()
        except NatsError:  # what `Connection` makes of it
            self._stepper = None
            if self._patient:
                self._disconnect()
            else:
                self._end()
        if self._phase in (Phase.ON, Phase.REDIALLING):
            run_at_once(self._reconciler.reconcile())
        self._judge(owned)

    def _move(self, event: Event) -> None:
        match event:
            case Start(disk):
                self._start(disk)
            case Hear(kv):
                self._hear(kv)
            case Answer(value, era):
                self._era = era
                self._answer(value)
            case Happening.WAKE:
                self._loop.wake()
                self._live.poll()
            case Happening.CRASH:
                self._end()
            case Happening.RECONNECT:
                self._disconnect()
                self._connect()

    @property
    def _live(self) -> Stepper:
        assert self._stepper
        return self._stepper

    def _start(self, disk: SavedState | None) -> None:
        self._disk.kept = disk or self._disk.kept
        self._run += 1
        self._begin()
        if claim := self._disk.kept.claim:
            self._proofs.add(record_key(str(self._node().subnet_of(claim.private_address))))
        self._controller.restore_snapshot(None)
        self._connect()

    def _connect(self) -> None:
        self._phase = Phase.ON
        keeping = self._controller.keep(self, "192.0.2.1", partial(setattr, self, "_patient", True))
        self._stepper = Stepper(keeping, self._loop)
        self._stepper.go_on()

    def _disconnect(self) -> None:
        if self._stepper:
            self._stepper.cancel()
        self._phase, self._stepper, self._heard = Phase.REDIALLING, None, None
        self._controller.follower.disconnected()

    def _end(self) -> None:
        """End, for the service manager to start it again; disk and device stay."""
        self._phase = Phase.OFF
        self._begin()

    def _hear(self, kv: Kv) -> None:
        self._heard = kv
        for key, record in kv.records().items():
            self._show(key, record)
        run_at_once(self._controller.follower.resync(kv))
        self._live.poll()

    def _answer(self, value: Entry | int | type[NatsError] | None) -> None:
        asked = self._live.request
        assert asked
        if isinstance(value, type):
            self._live.fail(value("as the explorer wills"))
            return
        if isinstance(asked, Get):
            self._denied.discard(asked.key)
        told = value.value if isinstance(value, Entry) else asked.value if isinstance(asked, Put) else None
        if told is not None:
            record = read(asked.key, told)
            self._show(asked.key, record)
            if record.name == self._spec.name:
                self._proofs.add(asked.key)
            if record.public_key != self._public_key:
                self._denied.add(asked.key)
        self._live.go_on(value)

    def _stop(self) -> None:
        """End as `Agent.run` does when its address is somebody else's."""
        self._phase, self._stepper = Phase.STOPPED, None
        if self._controller.has_saved_claim:
            self._controller.forget()
            run_at_once(self._backend.delete(IFNAME))

    # -- being looked at -----------------------------------------------------------------------------------------------

    def _show(self, key: str, record: PeerRecord) -> None:
        if record.name != self._spec.name:
            self._shown.add(key)
            self._copied |= record.public_key == self._public_key

    def _judge(self, owned: PeerRecord | None) -> None:
        """Note what it gives up although nobody else's record was shown to it."""
        if self._copied or self._phase is Phase.OFF:
            return
        if owned and owned.key not in self._shown and (self._phase is Phase.STOPPED or self._owned_key() != owned.key):
            self._groundless = f"it gives up {owned.allowed_ip}"
        elif self._phase is Phase.STOPPED and not (self._saved_claim() and self._saved_claim() <= self._shown):
            self._groundless = "it stops"

    def _saved_claim(self) -> set[str]:
        """Return the key of the configured subnet, if one is configured."""
        config = self._spec.config(self._run)
        return {record_key(str(config.subnet))} if config.subnet else set()

    def _owned_key(self) -> str | None:
        return self._controller.record.key if self._controller.record else None

    def look(self) -> Look:
        """Return what can be seen of it now."""
        record = self._controller.record if self._phase in (Phase.ON, Phase.REDIALLING) else None
        return Look(
            phase=self._phase,
            run=self._run,
            request=self._stepper.request if self._stepper else None,
            sleeping=self._loop.sleeping,
            heard=self._heard,
            record=record,
            device=self._device(),
            proved=record is None or record.key in self._proofs,
            disk=self._disk.kept,
            shown=frozenset(self._shown),
            denied=frozenset(self._denied),
            groundless=self._groundless,
        )

    def _device(self) -> str | None:
        """Return the key of the subnet that the device is in."""
        device = self._host.device(IFNAME)
        addresses = [str(interface.ip) for interface in device.addresses] if device else []
        return record_key(str(self._node().subnet_of(addresses[0]))) if addresses else None
