"""Checks of the claim: this node's record in the bucket, and what its agent reports about it."""

from collections.abc import Iterable, Mapping, Set

from ikto_core.admin.views import StatusView
from ikto_core.diagnosis.checks import Category, Check, error, ok, skipped, warning
from ikto_core.diagnosis.checks_bucket import known_entries
from ikto_core.diagnosis.checks_device import own_keys, saved_state
from ikto_core.diagnosis.subject import Subject
from ikto_core.mesh.records import RecordError, decode_record, record_key
from ikto_core.mesh.view import Entry
from ikto_core.plugins.check_contract import Finding
from ikto_core.values.keys import PublicKey

IN_USE_FIX = 'set another private_address, or "auto"; or revoke the credentials of that node, then delete its record'
CONTESTED_FIX = "the agent writes its own record again; find out who wrote this one, and revoke their credentials"


async def _subnet(subject: Subject) -> Iterable[Finding]:
    """Return who has this node's subnet by the bucket: this node, nobody, or somebody else."""
    entries = await known_entries(subject)
    if isinstance(entries, Finding):
        return [entries]
    if not (keys := own_keys(subject)):
        return [skipped("the private key can't be read")]
    subnet, status = _subnet_of(subject), subject.status
    if subnet is None:
        return [ok("no subnet is claimed yet: the agent finds a free one")]
    return [record_finding(subnet, entries, keys, holds=bool(status and status.allowed_ip))]


def _subnet_of(subject: Subject) -> str | None:
    """Return the subnet that this node holds or asks for; None: any."""
    if subject.status and subject.status.allowed_ip:
        return subject.status.allowed_ip
    node, claim = subject.node, saved_state(subject).claim
    if node.address is None and claim and node.mesh.covers(node.subnet_of(claim.private_address)):
        return str(node.subnet_of(claim.private_address))
    return str(subject.config.subnet) if subject.config.subnet else None


def record_finding(subnet: str, entries: Mapping[str, Entry], own: Set[PublicKey], *, holds: bool) -> Finding:
    """Return who has a subnet.

    Args:
        subnet: ADDRESS/LENGTH.
        entries: The bucket's entries by KV key.
        own: This node's public keys.
        holds: Whether this node's agent holds the subnet.

    """
    key = record_key(subnet)
    entry = entries.get(key)
    if entry is None or entry.value is None:
        text = f"the bucket has no record of {subnet}, which this node holds"
        return error(text, "the agent writes it again soon") if holds else ok(f"{subnet} is free")
    try:
        record = decode_record(key, entry.value)
    except RecordError as raised:
        fix = f"delete the key {key}: the agent writes its record then"
        return error(f"the record of {subnet} can't be read: {raised}", fix)
    if record.public_key in own:
        return ok(f"the bucket has this node's record of {subnet}, revision {entry.revision}")
    other = f"{record.name!r} with the public key {record.public_key}"
    if holds:
        return error(f"{subnet} is contested: its record names {other}", CONTESTED_FIX)
    return error(f"{subnet} is in use by {other}", IN_USE_FIX)


async def _claim(subject: Subject) -> Iterable[Finding]:
    return claim_findings(subject.status) if subject.status else [skipped("no agent answers")]


def claim_findings(status: StatusView) -> list[Finding]:
    """Return what the agent reports about its claim."""
    found = []
    if status.mesh_settings_conflict:
        fix = "find out who wrote them, then write the mesh's own: ikto bucket create --overwrite-mesh"
        found.append(error(f"the bucket has other settings of the mesh: {status.mesh_settings_conflict}", fix))
    if status.credentials and status.credentials.failure:
        fix = "have the account in record_trust issue a JWT that allows the subject of this node's record"
        found.append(error(f"other nodes refuse this node's record: {status.credentials.failure}", fix))
    if status.lease and status.lease.failure:
        found.append(error(f"the lease can't be renewed: {status.lease.failure}", "ikto bucket create --leases"))
    if status.lease and status.lease.refusal:
        fix = "run `ikto bucket sweep` somewhere, if nodes may not remove the records of others"
        found.append(ok(f"expired records of others are not removed: {status.lease.refusal} ({fix})"))
    if status.snapshot.failure:
        fix = "check the state directory: after a reboot without NATS the node would have no peers"
        found.append(error(f"the snapshot can't be written: {status.snapshot.failure}", fix))
    if status.snapshot.in_use:
        fix = "see the findings about NATS"
        found.append(warning("the device shows the snapshot of an earlier run: the bucket was not read yet", fix))
    if status.allowed_ip is None:
        why = status.nats.failure or "it is being claimed"
        found.append(warning(f"no subnet is claimed: {why}", "look again in a minute; see the findings about NATS"))
    return found


CLAIM_CHECKS = (
    Check(category=Category.CLAIM, name="subnet", summary="the subnet is this node's", run=_subnet),
    Check(
        category=Category.CLAIM,
        name="claim",
        summary="the agent reports nothing wrong with its claim",
        run=_claim,
        before_start=False,
    ),
)
