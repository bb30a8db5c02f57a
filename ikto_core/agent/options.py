"""What a program asks of an agent."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random, SystemRandom

import msgspec

from ikto_core.agent.report import Report
from ikto_core.config import Config
from ikto_core.device.backend import BackendPlugin
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.observers.event_hub import EventHub
from ikto_core.observers.runner import ObserverRun


class AgentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is to be; the same for all its keys."""

    config: Config  # checked
    backend: BackendPlugin
    ipam: IpamPlugin  # proposes subnets when the private address is "auto"
    observers: Sequence[ObserverRun] = ()
    key_path: Path | None = None  # where the next key is found after a rotation; None: the key is never rotated
    socket: Path | None = None  # where it answers; None: nowhere
    service_manager: bool = False  # whether systemd is told how we fare
    random: Random = SystemRandom()  # chance of every kind
    event_hub: EventHub = msgspec.field(default_factory=EventHub)
    on_agent: Callable[[Report], None] = lambda _: None  # called with the agent's report whenever there is another
    on_claim_change: Callable[[str], None] = lambda _: (
        None
    )  # called with our record's KV key: it stands; empty: no more
