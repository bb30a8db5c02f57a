"""The links between the bucket and this node: agent, NATS, record, claim. Pure."""

from ikto_core.admin.why_views import Cause, Link, Mark
from ikto_core.diagnosis.facts import ClaimStatus, Facts, NatsFault, RecordStatus
from ikto_core.values.ages import age
from ikto_core.values.text import clipped

_NATS: dict[NatsFault, tuple[Cause, str, str]] = {
    NatsFault.DENIED: (
        Cause.NATS_DENIED,
        "NATS denies this node access",
        "renew its credentials, or grant what the error names",
    ),
    NatsFault.BUCKET_MISSING: (
        Cause.BUCKET_MISSING,
        "the bucket is missing",
        "create it again with `ikto bucket create`; the nodes write their records by themselves",
    ),
    NatsFault.UNREACHABLE: (
        Cause.NATS_UNREACHABLE,
        "this node has no connection to NATS",
        "start the server, or correct nats_url and the way to it",
    ),
}

NAME_SHOWN = 80
"""Characters of a name: it is another node's word, and may be of any length."""


def agent_link(facts: Facts) -> Link:
    """Return whether this node's agent runs."""
    if facts.agent.running:
        return Link(name="agent", mark=Mark.OK, text=f"runs, {facts.agent.detail}")
    return Link(
        name="agent",
        mark=Mark.FAULT,
        text=facts.agent.detail,
        cause=Cause.NO_AGENT,
        fault="no agent runs on this node",
        remedy=facts.agent.remedy,
    )


def nats_link(facts: Facts) -> Link:
    """Return whether this node knows what the bucket has now."""
    nats = facts.nats
    details: tuple[str, ...] = ()
    if nats.from_snapshot:
        details = (f"what follows is from the snapshot saved {age(nats.known_until, facts.now)}",)
    if nats.fault is not NatsFault.NONE:
        cause, fault, remedy = _NATS[nats.fault]
        remedy = nats.hint or remedy
        fault += f" ({nats.detail})" if nats.detail else ""
        return Link(
            name="NATS",
            mark=Mark.FAULT,
            text=nats.detail or fault,
            details=details,
            cause=cause,
            fault=fault,
            remedy=remedy,
        )
    if not nats.read or nats.from_snapshot:
        return Link(name="NATS", mark=Mark.UNKNOWN, text=nats.detail or "the bucket was not read", details=details)
    return Link(name="NATS", mark=Mark.OK, text=f"{nats.detail}, bucket at revision {nats.revision}")


def record_link(facts: Facts) -> Link:
    """Return what became of the target's record."""
    record = facts.record
    if record.status is RecordStatus.ABSENT and not facts.nats.read:
        return Link(name="record", mark=Mark.UNKNOWN, text="neither the bucket nor a snapshot was read")
    if record.status is RecordStatus.ABSENT and _is_outdated(facts):
        return Link(name="record", mark=Mark.UNKNOWN, text="the last known state of the bucket has no such record")
    if record.status is RecordStatus.ACCEPTED:
        return Link(name="record", mark=Mark.OK, text=_accepted(facts), details=(record.note,) if record.note else ())
    cause, fault, remedy = _refused(facts)
    return Link(name="record", mark=Mark.FAULT, text=_found(facts), cause=cause, fault=fault, remedy=remedy)


def claim_link(facts: Facts) -> Link:
    """Return whether this node holds its own subnet."""
    claim = facts.claim
    if claim.status is ClaimStatus.HELD:
        return Link(name="claim", mark=Mark.OK, text=f"this node holds {claim.subnet}, address {claim.address}")
    if claim.status is ClaimStatus.UNKNOWN:
        return Link(name="claim", mark=Mark.UNKNOWN, text=claim.reason or "unknown")
    if claim.status is ClaimStatus.LOST:
        fault = f"this node has lost its subnet {claim.subnet}: {claim.reason}"
        remedy = 'remove the other record, or set another private_address, or "auto", and start the agent again'
        return Link(name="claim", mark=Mark.FAULT, text=fault, cause=Cause.LOST_CLAIM, fault=fault, remedy=remedy)
    fault = "this node has claimed no subnet" + (f" ({claim.reason})" if claim.reason else "")
    if facts.nats.fault is not NatsFault.NONE:
        return Link(name="claim", mark=Mark.UNKNOWN, text=f"{fault}: a claim needs NATS")
    remedy = "let the agent reach NATS, and see its log"
    return Link(name="claim", mark=Mark.FAULT, text=fault, cause=Cause.NOT_CLAIMED, fault=fault, remedy=remedy)


def _is_outdated(facts: Facts) -> bool:
    return facts.nats.fault is not NatsFault.NONE or facts.nats.from_snapshot


def _accepted(facts: Facts) -> str:
    record = facts.record
    proof = {True: "proved by its key", False: "without a proof", None: "proof not checked"}[record.proved]
    return f"{_found(facts)}, accepted, {proof}"


def _found(facts: Facts) -> str:
    record = facts.record
    parts = [f"{clipped(record.name, NAME_SHOWN)!r}" if record.name else "", ", ".join(record.allowed_ips)]
    if record.revision is not None:
        written = "" if record.written_at is None else f", written {age(record.written_at, facts.now)}"
        parts.append(f"revision {record.revision}{written}{f' by {record.agent}' if record.agent else ''}")
    return ", ".join(filter(None, parts)) or record.reason or "none"


_REFUSED: dict[RecordStatus, tuple[Cause, str, str]] = {
    RecordStatus.QUARANTINED: (
        Cause.QUARANTINED,
        "the record of {where} is quarantined: {reason}",
        "correct or delete that record",
    ),
    RecordStatus.DUPLICATE_KEY: (
        Cause.DUPLICATE_KEY,
        "the record of {where} names this node's own public key",
        "give that machine a key of its own (`ikto key generate`), or delete the record if it is an old one",
    ),
    RecordStatus.SHARED_KEY: (
        Cause.DUPLICATE_KEY,
        "several records name its public key: {reason}",
        "give each machine a key of its own (`ikto key generate`), and delete the record of a former name",
    ),
    RecordStatus.LEFT: (Cause.LEFT, "its node has left the mesh and given up {where}", "start its agent"),
    RecordStatus.DELETED: (
        Cause.REMOVAL_PENDING,
        "the record of {where} was deleted, and the removal of the peer is pending",
        "start its agent if it is to stay, else `ikto peers release` removes it now",
    ),
    RecordStatus.AMBIGUOUS: (Cause.AMBIGUOUS, "several peers match: {reason}", "give more of the key, or the subnet"),
    RecordStatus.SELF: (Cause.SELF, "it is this node itself", "ask for another node"),
    RecordStatus.OUTSIDE_MESH: (
        Cause.OUTSIDE_MESH,
        "it is nothing in the mesh: {reason}",
        "give an address inside the mesh, or the endpoint of a peer",
    ),
    RecordStatus.ABSENT: (
        Cause.NOT_IN_BUCKET,
        "the bucket has no record of it",
        "start the agent of that node, or check the spelling with `ikto peers`",
    ),
}
"""Of each status but ACCEPTED: the cause, the fault as a clause, and what to do."""


def _refused(facts: Facts) -> tuple[Cause, str, str]:
    """Return cause, fault and remedy of a record that is not simply accepted."""
    record = facts.record
    cause, fault, remedy = _REFUSED[record.status]
    where = ", ".join(record.allowed_ips) or facts.target
    if record.status is RecordStatus.ABSENT and record.reason:
        fault += " ({reason})"
    return cause, fault.format(where=where, reason=record.reason), remedy
