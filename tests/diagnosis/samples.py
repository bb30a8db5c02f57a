"""Facts about a peer that is reachable, to be spoilt one by one."""

from typing import Any

from msgspec.structs import replace

from ikto_core.diagnosis.facts import (
    AgentFacts,
    CandidateFacts,
    ClaimFacts,
    DeviceFacts,
    EchoFacts,
    Facts,
    Knock,
    NatsFacts,
    PeerOnDevice,
    RecordFacts,
    TunnelFacts,
)

NOW = 1_800_000_000.0
ENDPOINT, OTHER_ENDPOINT = "192.0.2.2:51820", "[2001:db8::2]:51820"
ANSWERED, LOST = EchoFacts(size=92, rtt_s=0.001), EchoFacts(size=92)
LARGE, LARGE_LOST = EchoFacts(size=1420, rtt_s=0.001), EchoFacts(size=1420)

PEER = PeerOnDevice(endpoint=ENDPOINT, last_handshake=NOW - 20, rx_bytes=4000, tx_bytes=4000)
NEVER = replace(PEER, last_handshake=None, rx_bytes=0, tx_bytes=444)
USED = CandidateFacts(endpoint=ENDPOINT, in_use=True, source="192.0.2.1", mtu=1500, knock=Knock.SILENT, echo=ANSWERED)

GOOD = Facts(
    target="node-b",
    now=NOW,
    agent=AgentFacts(detail="ready"),
    nats=NatsFacts(detail="nats://nats", revision=40),
    record=RecordFacts(
        name="node-b", public_key="b" * 43 + "=", allowed_ips=("fd10:2::/48",), address="fd10:2::", revision=12
    ),
    claim=ClaimFacts(subnet="fd10:1::/48", address="fd10:1::"),
    device=DeviceFacts(mtu=1420, synced_revision=40, peer=PEER),
    candidates=(USED,),
    tunnel=TunnelFacts(small=ANSWERED, large=LARGE, window_s=0.1, rx_growth=200, tx_growth=200),
)
SILENT = TunnelFacts(small=LOST, window_s=6.0, tx_growth=148)
"""A tunnel in which nothing was answered."""


def spoilt(**members: Any) -> Facts:
    """Return facts with these members; `record__status=…` changes a member of a member."""
    facts = GOOD
    for name, value in members.items():
        member, _, inner = name.partition("__")
        facts = replace(facts, **{member: replace(getattr(facts, member), **{inner: value}) if inner else value})
    return facts
