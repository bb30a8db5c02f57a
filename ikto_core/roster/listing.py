"""The records of a bucket, with the verdicts of an agent that starts now. Pure.

An agent that has followed the bucket for longer may know more: it keeps what it has pinned (mesh/pins.py).
"""

from collections.abc import Mapping

import msgspec

from ikto_core.lease.policy import LeasedRecord, Watch, leased_records
from ikto_core.mesh.pins import Pins
from ikto_core.mesh.proofs import ProofIndex, owner_of
from ikto_core.mesh.records import PEER_KEYS, readable_record, subnet_of_key
from ikto_core.mesh.rights import Authority
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey

NOBODY = PublicKey(bytes(32))
"""A key that no valid record names: an operator's view of the mesh has no node of its own."""


class NodeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One record. Names and reasons are untrusted text."""

    key: str  # in the bucket
    revision: int
    allowed_ip: str | None  # the subnet that the key encodes, as written; null: it encodes none
    name: str | None  # null: the record can't be read
    public_key: str | None  # null: as for `name`
    endpoints: tuple[str, ...] = ()  # HOST:PORT, best first
    program: str = ""  # and its version; empty: not given, as by Ikto 0.3.0
    written_at: str = ""  # when NATS stored it, RFC 3339; empty: unknown
    lease_s: int = 0  # 0: the record does not expire
    lease: str = ""  # what the reaper of leases knows of it; empty: there is no lease, or its bucket can't be read
    renewed_at: str = ""  # when the lease was last renewed, RFC 3339; empty: never, or unknown
    accepted: bool = False  # it makes a peer
    proved: bool = False  # the owner of its public key has signed it, with the right that record_trust requires
    draining: bool = False  # its node is about to leave
    left: bool = False  # its node has given the subnet up, and has not deleted the record yet
    quarantine: str | None = None  # why it is not accepted; null: it is, or its node has left


class MeshTrust(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of a mesh by which its agents judge records."""

    bucket: str
    cidr: Prefix
    subnet_prefix: int
    require_proof: bool = False
    authority: Authority | None = None  # whose users have a right to records; None: none is needed
    revocations: Mapping[str, float] = {}  # as `Right.fault` takes them
    now_s: float = 0.0  # the time as of which rights are judged, in seconds since the epoch

    def rules(self) -> MeshRules:
        """Return the rules of a view without a node of its own."""
        return MeshRules(
            cidr=self.cidr, subnet_prefix=self.subnet_prefix, own_key=NOBODY, require_proof=self.require_proof
        )


def roster(
    table: Mapping[str, Entry], trust: MeshTrust, renewals: Mapping[str, Entry] | None, nats_time: str
) -> list[NodeRecord]:
    """Return the records of a bucket, by ascending KV key.

    Args:
        table: The whole bucket; deletion markers do not matter.
        trust: How its records are judged.
        renewals: The whole bucket for leases; None: there is none, or it can't be read.
        nats_time: The present time, RFC 3339, with which the ages of renewals are measured.

    """
    proofs, rules = ProofIndex(trust.bucket, trust.authority), trust.rules()
    proofs.revocations, proofs.now_s = trust.revocations, trust.now_s
    view = MeshView(rules)
    view.update(Pins(proofs, lambda: rules).replace(table, 0.0))
    records = {key: entry for key, entry in table.items() if entry.value is not None and _is_record(key, entry)}
    leased = {record.key: record for record in leased_records(records)}
    return [
        _record(key, records[key], view, proofs, leased=leased.get(key), renewals=renewals, nats_time=nats_time)
        for key in sorted(records)
    ]


def _is_record(key: str, entry: Entry) -> bool:
    return key.startswith(PEER_KEYS) or bool(entry.unreadable)


def _record(
    key: str,
    entry: Entry,
    view: MeshView,
    proofs: ProofIndex,
    *,
    leased: LeasedRecord | None,
    renewals: Mapping[str, Entry] | None,
    nats_time: str,
) -> NodeRecord:
    value, quarantined = entry.value or b"", view.quarantined.get(key)
    proof = None if entry.unreadable else proofs.result(key, value).proof
    found = NodeRecord(
        key=key,
        revision=entry.revision,
        allowed_ip=subnet_of_key(key),
        name=None,
        public_key=(owner_of(value) or (None,))[0],
        written_at=entry.time,
        accepted=key in view.accepted,
        proved=proof is not None,
        left=bool(proof and proof.left),
        quarantine=quarantined.reason if quarantined else None,
    )
    record = readable_record(key, value)
    if record is None:
        return found
    found = msgspec.structs.replace(
        found,
        name=record.name,
        public_key=record.public_key.text,
        endpoints=tuple(str(endpoint) for endpoint in record.candidates),
        program=record.agent,
        lease_s=record.lease,
        draining=record.draining,
    )
    return _with_lease(found, leased, renewals, nats_time) if leased and renewals is not None else found


def _with_lease(found: NodeRecord, leased: LeasedRecord, renewals: Mapping[str, Entry], nats_time: str) -> NodeRecord:
    """Return a record with what the reaper would find in its first look at the lease."""
    renewal = renewals.get(leased.key)
    status = Watch(slack_s=0).observe(leased, renewal, nats_time, 0.0)
    renewed_at = renewal.time if renewal and renewal.value is not None else ""
    return msgspec.structs.replace(found, lease=status.value, renewed_at=renewed_at)
