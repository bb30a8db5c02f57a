"""What a program that runs an agent chooses."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random, SystemRandom

import msgspec

from ikto_core.agent.live_settings import LiveSettings
from ikto_core.agent.report import Report
from ikto_core.config import Config
from ikto_core.device.backend import BackendPlugin
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.observers.event_hub import EventHub
from ikto_core.observers.journal import Journal
from ikto_core.observers.runner import ObserverRun


class AgentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one run; they stay the same over key rotations."""

    config: Config  # checked
    backend: BackendPlugin
    ipam: IpamPlugin  # proposes subnets when the private address is "auto"
    observers: Sequence[ObserverRun] = ()
    key_path: Path | None = None  # file of the private key, read again after a rotation; None: never rotated
    socket: Path | None = None  # of the admin interface; None: there is none
    fallback_socket: Path | None = None  # served if another user's file is at `socket`; None: that is an error
    service_manager: bool = False  # whether systemd is notified
    random: Random = SystemRandom()  # the only source of chance
    event_hub: EventHub = msgspec.field(default_factory=EventHub)
    live: LiveSettings = msgspec.field(default_factory=LiveSettings)
    journal: Journal = msgspec.field(default_factory=Journal)
    on_agent: Callable[[Report], None] = lambda _: None  # called at the start and after each rotation
    on_claim_change: Callable[[str], None] = lambda _: None  # called with the record's KV key; "": claim released
