"""A machine's specification, the events that it receives, and its state as seen from outside."""

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
    """How a machine is configured, and what disk it starts with."""

    name: str
    key: int = 0  # machines with the same number are copies of each other
    addresses: tuple[str, ...] = (A,)  # `private_address` of each run; the last one is used for all later runs
    loses_disk: bool = False  # its disk is empty at each start
    copied_from: int | None = None  # number of the machine whose disk it has at its first start

    @property
    def private_key(self) -> PrivateKey:
        return KEYS[self.key]

    def config(self, run: int) -> Config:
        """Return the configuration of a run, counted from 1."""
        address = self.addresses[min(run, len(self.addresses)) - 1]
        return Config(private_address=address, mesh_cidr="10.0.0.0/26", subnet_prefix=28)


# -- events of a machine -----------------------------------------------------------------------------------------------


class Start(NamedTuple):
    """The service manager starts the agent; `disk` replaces the machine's own; None: it is unchanged."""

    disk: SavedState | None = None


class FollowerRead(NamedTuple):
    """The follower reads the bucket."""

    kv: Kv


class Answer(NamedTuple):
    """The bucket answers."""

    value: Entry | int | type[NatsError] | None
    era: int


class PlainEvent(Enum):
    """An event without further data."""

    WAKE = "its sleep ends"
    CRASH = "it is killed"
    RECONNECT = "its session ends, and a new one begins"


Event = Start | FollowerRead | Answer | PlainEvent


class Phase(Enum):
    """The state of a machine's agent."""

    OFF = "off"  # never started, killed, or to be started again by the service manager
    ON = "on"
    REDIALLING = "redialling"
    STOPPED = "stopped"  # for good: exit code 4


class MachineView(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a machine as seen from outside."""

    phase: Phase
    run: int = 0
    request: Get | Put | None = None
    sleeping: bool = False
    followed: Kv | None = None  # the bucket as its follower has last read it
    record: PeerRecord | None = None  # the record that it believes to own
    device: str | None = None  # KV key of the subnet of the device's address
    disk: SavedState = SavedState()
    foreign: frozenset[str] = frozenset()  # KV keys under which this run saw a record of another machine
    refused: frozenset[str] = frozenset()  # KV keys for which the leader answered with the record of another owner
    confirmed: bool = True  # the leader confirmed the own record, or there is none
    unjustified: str = ""  # what it gave up although it saw no record of another machine; empty: nothing
