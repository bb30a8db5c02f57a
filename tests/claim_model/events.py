"""What a machine is, what may happen to it, and what can be seen of it."""

from enum import Enum
from typing import NamedTuple

import msgspec

from ikto_core.config import Config
from ikto_core.disk.state_file import SavedState
from ikto_core.errors import NatsError
from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.view import Entry
from ikto_core.values.keys import PrivateKey
from tests.claim_model.kv import Get, Kv, Put

A, B, C = "10.0.0.17", "10.0.0.33", "10.0.0.49"
"""Addresses in the three subnets of the mesh that may be claimed."""

IFNAME = "wg0"
KEYS = [PrivateKey(bytes([64 + number] * 32)) for number in range(4)]
PUBLIC_KEYS = [key.public() for key in KEYS]


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine is."""

    name: str
    key: int = 0  # machines with one number are copies of each other
    addresses: tuple[str, ...] = (A,)  # `private_address` of each run; the last one's stays
    forgetful: bool = False  # at each start its disk is empty
    image_of: int | None = None  # at its first start it has this machine's disk

    @property
    def private_key(self) -> PrivateKey:
        return KEYS[self.key]

    def config(self, run: int) -> Config:
        """Return the configuration of its run of this number."""
        address = self.addresses[min(run, len(self.addresses)) - 1]
        return Config(private_address=address, mesh_cidr="10.0.0.0/26", subnet_prefix=28)


# -- what may happen to a machine --------------------------------------------------------------------------------------


class Start(NamedTuple):
    """The service manager starts the agent; `disk` replaces what the machine had, unless it is None."""

    disk: SavedState | None = None


class Hear(NamedTuple):
    """The follower reads the bucket."""

    kv: Kv


class Answer(NamedTuple):
    """The bucket answers."""

    value: Entry | int | type[NatsError] | None
    era: int


class Happening(Enum):
    """What says all by its name."""

    WAKE = "its sleep ends"
    CRASH = "it is killed"
    RECONNECT = "its session ends, and a new one begins"


Event = Start | Hear | Answer | Happening


class Phase(Enum):
    """How a machine's agent is."""

    OFF = "off"  # never started, killed, or to be started again by the service manager
    ON = "on"
    REDIALLING = "redialling"
    STOPPED = "stopped"  # for good: exit code 4


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen of a machine from outside."""

    phase: Phase
    run: int = 0
    request: Get | Put | None = None
    sleeping: bool = False
    heard: Kv | None = None  # the bucket as its follower last read it
    record: PeerRecord | None = None  # what it believes to own
    device: str | None = None  # the key of the subnet that its device is in
    disk: SavedState = SavedState()
    shown: frozenset[str] = frozenset()  # keys under which this run was shown a record that another machine wrote
    denied: frozenset[str] = frozenset()  # keys under which the leader's last answer was another public key's record
    proved: bool = True  # the leader has said that the record stands, or it believes to own nothing
    groundless: str = ""  # what it gave up although nobody else's record was shown to it
