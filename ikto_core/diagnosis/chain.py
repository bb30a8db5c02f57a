"""The chain from the bucket to a peer, and the one verdict on it. Pure."""

from collections.abc import Sequence

from ikto_core.admin.why_views import Cause, Diagnosis, Link, Mark, TunnelPath, Verdict
from ikto_core.diagnosis.device_links import device_link, endpoint_link, underlay_link
from ikto_core.diagnosis.facts import Facts, RecordStatus
from ikto_core.diagnosis.mesh_links import NAME_SHOWN, agent_link, claim_link, nats_link, record_link
from ikto_core.diagnosis.tunnel_links import data_link, handshake_link, other_side_link
from ikto_core.values.text import clipped

LINKS = (
    agent_link,
    nats_link,
    record_link,
    claim_link,
    device_link,
    endpoint_link,
    underlay_link,
    handshake_link,
    data_link,
    other_side_link,
)
"""In the order in which they are shown."""

_RANKS = {cause: rank for rank, cause in enumerate(Cause)}
HARMLESS = frozenset(
    {
        Cause.AMBIGUOUS,
        Cause.NO_AGENT,
        Cause.NATS_DENIED,
        Cause.BUCKET_MISSING,
        Cause.NATS_UNREACHABLE,
        Cause.MTU_BLACK_HOLE,
    }
)
"""Causes that do not end a tunnel: without a packet that passed, nobody knows whether the peer is reachable."""

MENTIONED = frozenset({Cause.NO_AGENT, Cause.NATS_DENIED, Cause.BUCKET_MISSING, Cause.NATS_UNREACHABLE})
"""Causes that a verdict names also if another one comes first: what this node knows may be out of date."""


def diagnose(facts: Facts, path: TunnelPath | None = None) -> Diagnosis:
    """Return every link of the chain and the verdict."""
    links = tuple(link(facts) for link in LINKS)
    return Diagnosis(
        target=facts.target,
        peer=facts.record.name,
        public_key=facts.record.public_key,
        links=links,
        verdict=verdict(facts, links),
        path=path,
    )


def verdict(facts: Facts, links: Sequence[Link]) -> Verdict:
    """Return the verdict: the earliest cause, by the order of `Cause`, among the faulty links."""
    who, faults = (
        clipped(facts.record.name or facts.target, NAME_SHOWN),
        sorted(_faults(links), key=lambda link: _RANKS[_cause(link)]),
    )
    passes = _passes(facts, links)
    if not faults:
        return _faultless(who, facts, links, passes=passes)
    first, cause = faults[0], _cause(faults[0])
    if cause is Cause.SELF:
        return Verdict(reachable=True, cause=cause, sentence=f"{who} is this node itself: {first.remedy}.")
    reachable = True if passes else None if all(_cause(link) in HARMLESS for link in faults) else False
    state = {True: f"{who} is reachable, but", False: f"{who} is not reachable:", None: f"{who} may be reachable, but"}
    if facts.record.status is RecordStatus.ABSENT:  # nobody could look it up: else that would be the fault
        state[None] = f"Nothing is known of {who}:"
    besides = [link.fault for link in faults[1:] if link.cause in MENTIONED]
    also = f"; besides, {' and '.join(besides)}" if besides else ""
    return Verdict(
        reachable=reachable, cause=cause, sentence=f"{state[reachable]} {first.fault}{also}; to do: {first.remedy}."
    )


def _faultless(who: str, facts: Facts, links: Sequence[Link], *, passes: bool) -> Verdict:
    if passes:
        how = "packets pass both ways" if facts.acknowledged else "its last handshake is recent; data was not tested"
        return Verdict(reachable=True, cause=Cause.NONE, sentence=f"{who} is reachable: {how}.")
    unknown = ", ".join(link.name for link in links if link.mark is Mark.UNKNOWN)
    sentence = (
        f"No fault was found on the way to {who}, and no packet has passed (not known: {unknown}); to do: send it "
        "something, and ask again."
    )
    return Verdict(reachable=None, cause=Cause.UNCERTAIN, sentence=sentence)


def _passes(facts: Facts, links: Sequence[Link]) -> bool:
    """Return whether the tunnel works: data was answered, or was not tested and the session is recent."""
    if not facts.is_peer and facts.record.status is not RecordStatus.QUARANTINED:
        return False
    if facts.acknowledged:
        return True
    by_name = {link.name: link for link in links}
    untested = facts.tunnel.small is None or bool(facts.tunnel.small.failure)
    sound = all(by_name[name].mark is not Mark.FAULT for name in ("device", "endpoint", "underlay", "data"))
    return facts.session_recent and untested and sound


def _faults(links: Sequence[Link]) -> list[Link]:
    return [link for link in links if link.mark is Mark.FAULT]


def _cause(link: Link) -> Cause:
    return link.cause or Cause.UNCERTAIN
