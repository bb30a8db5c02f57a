"""Each fault gets its own verdict, and no combination of facts gets none, two, or a good one despite a fault."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.admin.why_views import Cause, Mark
from ikto_core.diagnosis.chain import LINKS, diagnose
from ikto_core.diagnosis.facts import (
    CandidateFacts,
    ClaimFacts,
    ClaimStatus,
    DeviceFacts,
    EchoFacts,
    Facts,
    Knock,
    NatsFacts,
    NatsFault,
    OtherSide,
    PeerOnDevice,
    RecordFacts,
    RecordStatus,
    TunnelFacts,
)
from tests.diagnosis.samples import (
    ANSWERED,
    ENDPOINT,
    GOOD,
    LARGE_LOST,
    LOST,
    NEVER,
    NOW,
    OTHER_ENDPOINT,
    PEER,
    SILENT,
    USED,
    spoilt,
)

IDLE = TunnelFacts(unchecked="wg0 is no network interface of this host")

ABSENT_PEER: dict[str, Any] = {"device__peer": None, "tunnel": IDLE}
NO_SESSION: dict[str, Any] = {"device__peer": NEVER, "tunnel": SILENT}
SESSION_LOST: dict[str, Any] = {"tunnel": SILENT}

VERDICTS: list[tuple[dict[str, Any], bool | None, Cause, str]] = [
    ({}, True, Cause.NONE, "packets pass both ways"),
    ({"tunnel": IDLE}, True, Cause.NONE, "its last handshake is recent; data was not tested"),
    ({"tunnel": IDLE, "device__peer": replace(NEVER, tx_bytes=0)}, None, Cause.UNCERTAIN, "no packet has passed"),
    # the record
    ({"record__status": RecordStatus.SELF}, True, Cause.SELF, "node-b is this node itself"),
    (
        {"record__status": RecordStatus.AMBIGUOUS, "record__reason": "'a', 'b'", **ABSENT_PEER},
        *(None, Cause.AMBIGUOUS, "may be reachable, but several peers match: 'a', 'b'"),
    ),
    (
        {"record__status": RecordStatus.QUARANTINED, "record__reason": "it overlaps", **ABSENT_PEER},
        *(False, Cause.QUARANTINED, "fd10:2::/48 is quarantined: it overlaps"),
    ),
    ({"record__status": RecordStatus.DUPLICATE_KEY, **ABSENT_PEER}, False, Cause.DUPLICATE_KEY, "own public key"),
    ({"record__status": RecordStatus.SHARED_KEY, **NO_SESSION}, False, Cause.DUPLICATE_KEY, "name its public key"),
    ({"record__status": RecordStatus.LEFT, **ABSENT_PEER}, False, Cause.LEFT, "given up fd10:2::/48"),
    ({"record__status": RecordStatus.DELETED}, True, Cause.REMOVAL_PENDING, "is reachable, but the record"),
    ({"record__status": RecordStatus.DELETED, **NO_SESSION}, False, Cause.REMOVAL_PENDING, "ikto peers release"),
    ({"record__status": RecordStatus.ABSENT, **ABSENT_PEER}, False, Cause.NOT_IN_BUCKET, "has no record of it"),
    (
        {"record__status": RecordStatus.OUTSIDE_MESH, "record__reason": "fd20:: is outside", **ABSENT_PEER},
        *(False, Cause.OUTSIDE_MESH, "fd20:: is outside"),
    ),
    # this node
    (
        {"claim": ClaimFacts(status=ClaimStatus.LOST, subnet="fd10:1::/48", reason="'c' holds it"), **ABSENT_PEER},
        *(False, Cause.LOST_CLAIM, "lost its subnet fd10:1::/48: 'c' holds it"),
    ),
    ({"claim": ClaimFacts(status=ClaimStatus.NONE), **ABSENT_PEER}, False, Cause.NOT_CLAIMED, "claimed no subnet"),
    (
        {"claim": ClaimFacts(status=ClaimStatus.NONE), "nats__fault": NatsFault.BUCKET_MISSING, **ABSENT_PEER},
        *(False, Cause.NOT_ON_DEVICE, "besides, the bucket is missing"),
    ),
    ({"agent__running": False}, True, Cause.NO_AGENT, "is reachable, but no agent runs"),
    ({"agent__running": False, **ABSENT_PEER}, False, Cause.NO_AGENT, "no agent runs"),
    (
        {"nats__fault": NatsFault.DENIED, "nats__detail": "authorization violation", "tunnel": IDLE},
        *(True, Cause.NATS_DENIED, "is reachable, but NATS denies this node access (authorization violation)"),
    ),
    (
        {"nats__fault": NatsFault.DENIED, "tunnel": IDLE, "device__peer": replace(NEVER, tx_bytes=0)},
        *(None, Cause.NATS_DENIED, "may be reachable, but NATS denies"),
    ),
    ({"nats__fault": NatsFault.BUCKET_MISSING}, True, Cause.BUCKET_MISSING, "the bucket is missing"),
    ({"nats__fault": NatsFault.UNREACHABLE}, True, Cause.NATS_UNREACHABLE, "no connection to NATS"),
    (
        {"nats__fault": NatsFault.UNREACHABLE, "record__status": RecordStatus.ABSENT, **ABSENT_PEER},
        *(None, Cause.NATS_UNREACHABLE, "Nothing is known of node-b: this node has no connection to NATS"),
    ),
    # the device
    (
        {"device__failure": "not permitted", "device__hint": "use root", **SESSION_LOST},
        False,
        Cause.BACKEND_FAILING,
        "use root",
    ),
    ({"device": DeviceFacts(exists=False), "tunnel": IDLE}, False, Cause.NO_DEVICE, "wg0 does not exist"),
    ({"device__up": False, **NO_SESSION}, False, Cause.DEVICE_DOWN, "ip link set wg0 up"),
    (ABSENT_PEER, False, Cause.NOT_ON_DEVICE, "wg0 does not have the peer"),
    (
        {"device__peer": replace(NEVER, missing_ips=("fd10:2::/48",)), "tunnel": SILENT},
        *(False, Cause.WRONG_ALLOWED_IPS, "does not route fd10:2::/48"),
    ),
    # the underlay
    (
        {**NO_SESSION, "candidates": (CandidateFacts(endpoint="127.0.0.1:1", refusal="a loopback address"),)},
        *(False, Cause.NO_ENDPOINT, "127.0.0.1:1: a loopback address"),
    ),
    (
        {**NO_SESSION, "candidates": (CandidateFacts(endpoint=OTHER_ENDPOINT, in_use=True),)},
        *(False, Cause.NO_ROUTE, f"no IPv6 route to {OTHER_ENDPOINT}"),
    ),
    (
        {**NO_SESSION, "candidates": (replace(USED, knock=Knock.REFUSED),)},
        *(False, Cause.PORT_CLOSED, f"nothing listens on {ENDPOINT}"),
    ),
    (
        {"tunnel": IDLE, "candidates": (replace(USED, knock=Knock.REFUSED),)},
        False,
        Cause.PORT_CLOSED,
        "nothing listens",
    ),
    (
        {**NO_SESSION, "candidates": (replace(USED, knock=Knock.UNREACHABLE, echo=LOST),)},
        *(False, Cause.HOST_UNREACHABLE, f"the host of {ENDPOINT} is unreachable"),
    ),
    (
        {**NO_SESSION, "candidates": (replace(USED, echo=LOST),)},
        *(False, Cause.DEAD_ENDPOINT, f"nothing answers at {ENDPOINT}"),
    ),
    (
        {**NO_SESSION, "candidates": (replace(USED, echo=LOST),), "nats__fault": NatsFault.BUCKET_MISSING},
        *(False, Cause.BUCKET_MISSING, "the bucket is missing"),
    ),
    (
        {**NO_SESSION, "candidates": (replace(USED, source=None),), "nats__fault": NatsFault.UNREACHABLE},
        *(False, Cause.NO_ROUTE, "besides, this node has no connection to NATS"),
    ),
    # the tunnel
    (NO_SESSION, False, Cause.NO_HANDSHAKE, "has never answered a handshake"),
    (
        {"device__peer": replace(PEER, last_handshake=NOW - 900), "tunnel": SILENT},
        *(False, Cause.NO_HANDSHAKE, "does not answer handshakes any more"),
    ),
    (
        {"device__peer": replace(NEVER, rx_bytes=592), "tunnel": replace(SILENT, rx_growth=148)},
        *(False, Cause.ONE_WAY, "this node's answers do not arrive there"),
    ),
    (
        {**NO_SESSION, "other_side": OtherSide(answers=True, rx_bytes=444)},
        *(False, Cause.ONE_WAY, "the peer's do not arrive here"),
    ),
    (
        {**NO_SESSION, "other_side": OtherSide(answers=True, has_peer=False)},
        *(False, Cause.NOT_A_PEER_THERE, "does not have this node as a peer"),
    ),
    ({"tunnel": replace(SILENT, renewed=True, rx_growth=92)}, False, Cause.STALLED, "CVE-2026-52945"),
    ({"device__peer": replace(PEER, stalled=True), "tunnel": SILENT}, False, Cause.STALLED, "stalled"),
    (
        {**SESSION_LOST, "other_side": OtherSide(answers=True, rx_bytes=4000, rx_growth=300)},
        *(False, Cause.ONE_WAY, "the peer's do not arrive here"),
    ),
    (
        {**SESSION_LOST, "other_side": OtherSide(answers=True, rx_bytes=4000, rx_growth=0)},
        *(False, Cause.DATA_LOST, "since the last handshake"),
    ),
    (SESSION_LOST, False, Cause.DATA_LOST, "since the last handshake, 20 s ago"),
    ({"tunnel": replace(SILENT, rx_growth=148)}, False, Cause.ONE_WAY, "do not arrive there any more"),
    ({"tunnel": replace(SILENT, rx_growth=32)}, True, Cause.NONE, "packets pass both ways"),
    (
        {"tunnel": replace(GOOD.tunnel, large=LARGE_LOST, fits=1328)},
        *(True, Cause.MTU_BLACK_HOLE, "packets of 1420 bytes are lost in the tunnel, 1328 pass"),
    ),
]


@pytest.mark.parametrize(("members", "reachable", "cause", "words"), VERDICTS)
def test_verdict(members: dict[str, Any], reachable: bool | None, cause: Cause, words: str) -> None:
    verdict = diagnose(spoilt(**members)).verdict
    assert (verdict.reachable, verdict.cause) == (reachable, cause)
    assert words in verdict.sentence


def test_every_cause_has_a_verdict_here() -> None:
    assert {cause for _, _, cause, _ in VERDICTS} == set(Cause)


def test_the_endpoints_in_turn_are_shown_with_what_they_met() -> None:
    other = CandidateFacts(endpoint=OTHER_ENDPOINT, source="2001:db8::1", mtu=1500, knock=Knock.REFUSED)
    links = {link.name: link for link in diagnose(spoilt(candidates=(USED, other))).links}
    assert f"next in turn: {OTHER_ENDPOINT}" in links["endpoint"].text
    assert links["endpoint"].details[0] == f"{ENDPOINT}: IPv4 from 192.0.2.1, MTU 1500, ping 1.0 ms"
    assert links["endpoint"].details[1].endswith("port closed")


def test_without_a_session_data_is_not_judged() -> None:
    old = replace(PEER, last_handshake=NOW - 900)
    links = {
        link.name: link for link in diagnose(spoilt(device__peer=old, tunnel=replace(SILENT, rx_growth=148))).links
    }
    assert links["handshake"].cause is Cause.ONE_WAY
    assert links["data"].mark is Mark.UNKNOWN


def test_a_link_that_was_not_checked_says_why() -> None:
    links = {link.name: link for link in diagnose(spoilt(tunnel=IDLE)).links}
    assert links["data"].mark is Mark.UNKNOWN
    assert "wg0 is no network interface" in links["data"].text
    assert links["other side"].mark is Mark.UNKNOWN
    assert links["other side"].text.startswith("does not answer: ")


ECHOES = st.sampled_from([None, ANSWERED, LOST, EchoFacts(size=92, failure="not permitted")])
PEERS = st.builds(
    PeerOnDevice,
    missing_ips=st.sampled_from([(), ("fd10:2::/48",)]),
    endpoint=st.sampled_from([None, ENDPOINT]),
    last_handshake=st.sampled_from([None, NOW + 60, NOW - 20, NOW - 900]),
    rx_bytes=st.sampled_from([0, 148, 4000]),
    tx_bytes=st.sampled_from([0, 148, 4000]),
    stalled=st.booleans(),
)
CANDIDATES = st.builds(
    CandidateFacts,
    endpoint=st.sampled_from([ENDPOINT, OTHER_ENDPOINT]),
    in_use=st.booleans(),
    refusal=st.sampled_from(["", "a loopback address"]),
    source=st.sampled_from([None, "192.0.2.1"]),
    knock=st.sampled_from(Knock),
    echo=ECHOES,
    unchecked=st.sampled_from(["", "nothing was sent"]),
)
FACTS = st.builds(
    Facts,
    target=st.just("node-b"),
    now=st.just(NOW),
    agent=st.sampled_from([GOOD.agent, replace(GOOD.agent, running=False)]),
    nats=st.builds(
        NatsFacts,
        fault=st.sampled_from(NatsFault),
        from_snapshot=st.booleans(),
        read=st.booleans(),
        detail=st.just("x"),
    ),
    record=st.builds(RecordFacts, status=st.sampled_from(RecordStatus), reason=st.sampled_from(["", "because"])),
    claim=st.builds(ClaimFacts, status=st.sampled_from(ClaimStatus), subnet=st.just("fd10:1::/48")),
    device=st.builds(
        DeviceFacts,
        exists=st.sampled_from([None, False, True]),
        up=st.booleans(),
        failure=st.sampled_from(["", "no"]),
        peer=st.none() | PEERS,
    ),
    candidates=st.lists(CANDIDATES, max_size=2).map(tuple),
    tunnel=st.builds(
        TunnelFacts,
        unchecked=st.sampled_from(["", "no device"]),
        small=ECHOES,
        large=ECHOES,
        rx_growth=st.sampled_from([0, 32, 92, 148]),
        tx_growth=st.sampled_from([0, 148]),
        renewed=st.booleans(),
    ),
    other_side=st.builds(
        OtherSide,
        answers=st.booleans(),
        has_peer=st.booleans(),
        rx_bytes=st.sampled_from([0, 148]),
        rx_growth=st.sampled_from([None, 0, 148]),
    ),
)


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (OtherSide(answers=True, state="never"), "no handshake yet, 0 bytes received from this node, 0 sent"),
        (OtherSide(answers=True, state="idle", last_handshake=1.0), "this node is idle there, last handshake "),
    ],
)
def test_the_other_side_is_told_in_plain_words(other: OtherSide, text: str) -> None:
    assert diagnose(spoilt(other_side=other)).links[-1].text.startswith(text)


@given(FACTS)
def test_every_combination_gets_one_verdict_that_fits_its_links(facts: Facts) -> None:
    found = diagnose(facts)
    faults = [link for link in found.links if link.mark is Mark.FAULT]
    assert len(found.links) == len(LINKS)
    assert all(link.text for link in found.links)
    assert all(link.cause and link.fault and link.remedy for link in faults)
    assert not any(link.cause for link in found.links if link.mark is not Mark.FAULT)
    verdict = found.verdict
    assert verdict.sentence.endswith(".")
    assert "\n" not in verdict.sentence
    if faults:
        assert verdict.cause in {link.cause for link in faults}
    else:
        assert verdict.cause is (Cause.NONE if verdict.reachable else Cause.UNCERTAIN)
    assert verdict.reachable is not False or faults
