"""An inspection watches the device until there is an answer, or none can come any more. The tunnel is the loopback."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from ikto_core.admin.why_views import Cause
from ikto_core.agent import inspecting
from ikto_core.agent.inspecting import inspected, looked_at
from ikto_core.device.model import PeerState
from ikto_core.diagnosis.chain import diagnose
from ikto_core.diagnosis.facts import CandidateFacts, Facts, Knock
from ikto_core.underlay import inspection
from ikto_core.underlay.daemon_thread import DaemonThread
from ikto_core.underlay.inspection import Plan
from tests.diagnosis.samples import GOOD
from tests.samples import KEY

ENDPOINT = CandidateFacts(endpoint="127.0.0.1:1", in_use=True)
FACTS = replace(GOOD, candidates=(ENDPOINT, CandidateFacts(endpoint="127.0.0.1:2", refusal="not here")))
NEVER = PeerState(public_key=KEY, tx_bytes=148)
ANSWERS = Plan(endpoints=looked_at(FACTS), ifname="lo", source="::1", address="::1", mtu=1420)
SILENT = replace(ANSWERS, address="192.0.2.77", source="127.0.0.1")


@dataclass
class Device:
    """Shows a peer in one state after the other; the last one stays."""

    states: list[PeerState | None] = field(default_factory=list)
    reads: int = 0

    async def read(self) -> PeerState | None:
        self.reads += 1
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (inspecting, "WATCH_EVERY_S", 0.001),
        (inspecting, "FIRST_HANDSHAKE_S", 30.0),
        (inspecting, "NO_ANSWER_S", 30.0),
        (inspecting, "ACKNOWLEDGED_WITHIN_S", 0.0),
        (inspection, "ECHOES", 1),
        (inspection, "ECHO_TIMEOUT_S", 0.01),
        (inspection, "KNOCK_TIMEOUT_S", 0.5),
    ):
        monkeypatch.setattr(module, name, value)


def look(device: Device, plan: Plan = SILENT, thread: DaemonThread | None = None) -> Awaitable[Facts]:
    read: Callable[[], Awaitable[PeerState | None]] = device.read
    return inspected(FACTS, plan, thread or DaemonThread("test"), read)


async def test_an_answer_ends_it_and_the_endpoint_in_use_was_looked_at() -> None:
    facts = await look(Device([NEVER]), replace(ANSWERS))
    assert facts.acknowledged
    assert facts.tunnel.large
    assert facts.candidates[0].knock is Knock.REFUSED
    assert facts.candidates[1].knock is Knock.NOT_SENT


async def test_a_keepalive_of_the_peer_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock of the handshake, 20 s ago, there is a session."""
    monkeypatch.setattr("time.time", lambda: GOOD.now)
    before = PeerState(public_key=KEY, last_handshake=GOOD.now - 20, rx_bytes=1000)
    device = Device([before, before, before, replace(before, rx_bytes=1032)])
    facts = await look(device)
    assert facts.acknowledged
    assert facts.tunnel.rx_growth == 32
    assert device.reads == 4


async def test_a_handshake_after_data_without_an_answer_is_a_stalled_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: GOOD.now)
    before = PeerState(public_key=KEY, last_handshake=GOOD.now - 20, rx_bytes=1000)
    after = replace(before, last_handshake=GOOD.now, rx_bytes=1092)
    device = Device([before, before, after])
    facts = await look(device)
    assert facts.tunnel.renewed
    assert device.reads == 4, "data was sent once more in the new session, and the tunnel was not watched any longer"
    assert diagnose(facts).verdict.cause is Cause.STALLED


async def test_a_peer_that_never_answers_is_watched_until_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspecting, "FIRST_HANDSHAKE_S", 0.0)
    facts = await look(Device([NEVER, replace(NEVER, tx_bytes=296)]))
    assert (facts.tunnel.tx_growth, facts.tunnel.renewed) == (148, False)
    assert not facts.heard


async def test_without_a_route_nobody_waits() -> None:
    facts = await look(Device([NEVER]), replace(SILENT, endpoints=()))
    assert not facts.acknowledged


async def test_a_second_inspection_at_once_says_why_it_sent_nothing() -> None:
    thread = DaemonThread("test")
    thread.is_blocked = True
    facts = await look(Device([NEVER]), thread=thread)
    assert "still blocked" in facts.tunnel.unchecked
