"""Sends packets to one peer, watches the device meanwhile, and adds what was seen to the facts."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from msgspec.structs import replace

from ikto_core.device.endpoint_policy import HANDSHAKE_RECENT_S
from ikto_core.device.model import PeerState
from ikto_core.diagnosis.facts import CandidateFacts, EchoFacts, Facts, Knock, TunnelFacts
from ikto_core.underlay.daemon_thread import DaemonThread
from ikto_core.underlay.echo import Echo
from ikto_core.underlay.inspection import MOST_ENDPOINTS, Plan, Seen, Through, inspect, tunnel
from ikto_core.values.addressing import Endpoint

INSPECTION_LIMIT_S = 15.0
WATCH_EVERY_S = 0.5

FIRST_HANDSHAKE_S = 6.0
"""How long a peer without a session is watched: WireGuard repeats an initiation after REKEY_TIMEOUT, 5 s and jitter."""

ACKNOWLEDGED_WITHIN_S = 10.5
"""How soon the peer's WireGuard acknowledges data that nothing answers: KEEPALIVE_TIMEOUT, and some time to arrive."""

NO_ANSWER_S = 17.0
"""How long a session without an answer is watched. The peer's WireGuard acknowledges data within KEEPALIVE_TIMEOUT,
10 s; without that, a handshake follows REKEY_TIMEOUT, 5 s, later (WireGuard paper, section 6)."""

ReadPeer = Callable[[], Awaitable[PeerState | None]]

_KNOCKS = {"refused": Knock.REFUSED, "unreachable": Knock.UNREACHABLE, "silent": Knock.SILENT}


def looked_at(facts: Facts) -> tuple[Endpoint, ...]:
    """Return the endpoints to look at: the one in use first, and none that may never be used."""
    usable = sorted((one for one in facts.candidates if not one.refusal), key=lambda one: not one.in_use)
    return tuple(Endpoint.parse(one.endpoint) for one in usable)[:MOST_ENDPOINTS]


def plan_of(facts: Facts, *, netns: str, fwmark: int, source: str | None) -> Plan:
    """Return what to look at on the way to a peer; `source`: this node's address in the mesh, if it has one."""
    return Plan(
        endpoints=looked_at(facts),
        ifname=facts.device.ifname,
        netns=netns,
        fwmark=fwmark,
        source=source,
        address=facts.record.address,
        mtu=facts.device.mtu,
    )


async def inspected(facts: Facts, plan: Plan, thread: DaemonThread, read: ReadPeer) -> Facts:
    """Return the facts with what packets to the peer have met; takes up to half a minute if they meet nothing.

    Args:
        facts: What is known so far.
        plan: What to look at.
        thread: Runs what blocks.
        read: Returns the peer as the device has it now; None: the device can't be read, or does not have it.

    """
    began, before = time.monotonic(), await read()
    try:
        seen, through = await thread.run(partial(inspect, plan), INSPECTION_LIMIT_S)
    except (TimeoutError, OSError) as error:
        return replace(facts, tunnel=TunnelFacts(unchecked=f"packets can't be sent: {error}"))
    facts = replace(facts, candidates=_with_seen(facts.candidates, plan, seen))
    ends_s, was_sent_again = _watch_s(before, sendable=any(one.source for one in seen)), False
    while True:
        facts = _watched(facts, through, before, await read(), time.monotonic() - began)
        if not _is_unanswered(facts) or facts.tunnel.window_s > ends_s:
            return facts
        if facts.tunnel.renewed and not was_sent_again:
            through, was_sent_again = await sent_again(plan, thread) or through, True
            ends_s = time.monotonic() - began + (0 if _has_session(before) else ACKNOWLEDGED_WITHIN_S)
        else:
            await asyncio.sleep(WATCH_EVERY_S)


async def sent_again(plan: Plan, thread: DaemonThread) -> Through | None:
    """Send through the tunnel once more, and return what came of it; None: nothing could be sent."""
    try:
        return await thread.run(partial(tunnel, plan), INSPECTION_LIMIT_S)
    except (TimeoutError, OSError):
        return None


def _is_unanswered(facts: Facts) -> bool:
    """Return whether data was sent, and neither answered nor acknowledged yet."""
    small = facts.tunnel.small
    return small is not None and small.rtt_s is None and not small.failure and not facts.acknowledged


def _watch_s(before: PeerState | None, *, sendable: bool) -> float:
    """Return how long to wait for an answer; without a route nothing is sent, and none comes."""
    return (NO_ANSWER_S if _has_session(before) else FIRST_HANDSHAKE_S) if sendable else 0


def _has_session(peer: PeerState | None) -> bool:
    age_s = time.time() - peer.last_handshake if peer and peer.last_handshake is not None else HANDSHAKE_RECENT_S
    return age_s < HANDSHAKE_RECENT_S


def _watched(
    facts: Facts, through: Through, before: PeerState | None, after: PeerState | None, window_s: float
) -> Facts:
    """Return the facts with what the device counted since the packets were sent."""
    seen = TunnelFacts(
        unchecked=through.unchecked,
        small=_echo_facts(through.small),
        large=_echo_facts(through.large),
        fits=through.fits,
        window_s=window_s,
    )
    if before is None or after is None or facts.device.peer is None:
        return replace(facts, now=time.time(), tunnel=seen)
    counted = replace(
        seen,
        rx_growth=max(0, after.rx_bytes - before.rx_bytes),
        tx_growth=max(0, after.tx_bytes - before.tx_bytes),
        renewed=after.last_handshake is not None and after.last_handshake != before.last_handshake,
    )
    peer = replace(
        facts.device.peer,
        endpoint=str(after.endpoint) if after.endpoint else None,
        last_handshake=after.last_handshake,
        rx_bytes=after.rx_bytes,
        tx_bytes=after.tx_bytes,
    )
    return replace(facts, now=time.time(), tunnel=counted, device=replace(facts.device, peer=peer))


def _with_seen(
    candidates: tuple[CandidateFacts, ...], plan: Plan, seen: tuple[Seen, ...]
) -> tuple[CandidateFacts, ...]:
    found = {str(endpoint): one for endpoint, one in zip(plan.endpoints, seen, strict=True)}
    return tuple(_seen(one, found[one.endpoint]) if one.endpoint in found else one for one in candidates)


def _seen(one: CandidateFacts, seen: Seen) -> CandidateFacts:
    known = _KNOCKS.get(seen.knock)
    return replace(
        one,
        source=seen.source,
        mtu=seen.mtu,
        knock=known or Knock.NOT_SENT,
        echo=_echo_facts(seen.echo),
        unchecked="" if known or seen.source is None else seen.knock or "nothing was sent",
    )


def _echo_facts(echo: Echo | None) -> EchoFacts | None:
    return EchoFacts(size=echo.size, rtt_s=echo.rtt_s, failure=echo.failure) if echo else None
