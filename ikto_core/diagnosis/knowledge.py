"""What a table of the bucket and the view of it say about every node that a target may mean. Pure."""

from collections.abc import Iterator, Mapping, Set

from ikto_core.diagnosis.facts import RecordFacts, RecordStatus
from ikto_core.diagnosis.target import Known
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.mesh.records import PEER_KEYS, PeerRecord, readable_record, subnet_of_key
from ikto_core.mesh.view import Entry, MeshView
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey
from ikto_core.values.nats_time import nats_time_s


def own_node(record: PeerRecord | None, name: str, public_key: PublicKey) -> Known:
    """Return this node itself; `record` None: it has claimed no subnet."""
    facts = RecordFacts(
        status=RecordStatus.SELF,
        name=name,
        public_key=public_key.text,
        allowed_ips=(record.allowed_ip,) if record else (),
        address=record.device_address if record else None,
    )
    endpoints = tuple(str(endpoint) for endpoint in record.candidates) if record else ()
    return Known(facts=facts, subnets=(record.subnet,) if record else (), endpoints=endpoints)


def peers(view: MeshView, table: Mapping[str, Entry], deleted: Set[PublicKey], *, checked: bool) -> Iterator[Known]:
    """Yield every accepted peer.

    Args:
        view: The view of the bucket, or of a snapshot.
        table: The bucket, by KV key.
        deleted: The peers whose record was deleted and counts on.
        checked: Whether proofs were checked.

    """
    for peer in view.peers.values():
        yield Known(
            facts=_peer(view, peer, table, deleted=peer.public_key in deleted, checked=checked),
            subnets=tuple(peer.allowed_ips),
            endpoints=tuple(str(endpoint) for endpoint in peer.endpoints),
        )


def _peer(
    view: MeshView,
    peer: MeshPeer,
    table: Mapping[str, Entry],
    *,
    deleted: bool,
    checked: bool,
) -> RecordFacts:
    latest = peer.records[0]
    refused = [view.quarantined[one.key] for one in peer.records if one.key in view.quarantined]
    notes = [f"revision {one.revision} of it does not count: {one.reason}" for one in refused]
    notes += ["its node is about to leave: it drains"] if peer.draining else []
    shared = len({one.record.name for one in peer.records}) > 1
    status = RecordStatus.SHARED_KEY if shared else RecordStatus.ACCEPTED
    stored = table.get(latest.key)
    current = stored is not None and stored.revision == latest.revision
    return RecordFacts(
        status=RecordStatus.DELETED if deleted else status,
        name=peer.name,
        public_key=peer.public_key.text,
        allowed_ips=tuple(map(str, sorted(peer.allowed_ips))),
        address=latest.record.device_address,
        revision=latest.revision,
        written_at=nats_time_s(stored.time) if stored and current else None,
        agent=latest.record.agent,
        proved=all(one.proved for one in peer.records) if checked else None,
        reason=", ".join(f"{one.record.name!r} ({one.subnet})" for one in peer.records) if shared else "",
        note="; ".join(notes),
    )


def removed_peers(pending: Mapping[PublicKey, Set[Prefix]]) -> Iterator[Known]:
    """Yield the peers without a record that wait on the device for their removal, with their allowed IPs."""
    for key, allowed_ips in pending.items():
        facts = RecordFacts(
            status=RecordStatus.DELETED, public_key=key.text, allowed_ips=tuple(map(str, sorted(allowed_ips)))
        )
        yield Known(facts=facts, subnets=tuple(allowed_ips))


def others(view: MeshView, table: Mapping[str, Entry], own_key: str | None) -> Iterator[Known]:
    """Yield every record that makes no peer; `own_key` is the KV key of this node's own record."""
    for key, entry in table.items():
        is_peers = key in view.accepted and key not in view.own_records
        if key.startswith(PEER_KEYS) and not is_peers and key != own_key:
            yield _other(view, key, entry)


def _other(view: MeshView, key: str, entry: Entry) -> Known:
    record = None if entry.unreadable else readable_record(key, entry.value)
    allowed_ip = subnet_of_key(key)
    status, reason = _status(view, key, entry, record)
    facts = RecordFacts(
        status=status,
        name=record.name if record else "",
        public_key=record.public_key.text if record else "",
        allowed_ips=(allowed_ip,) if allowed_ip else (),
        revision=entry.revision,
        written_at=nats_time_s(entry.time),
        agent=record.agent if record else "",
        reason=reason,
    )
    endpoints = tuple(str(endpoint) for endpoint in record.candidates) if record else ()
    return Known(facts=facts, subnets=(Prefix.parse(allowed_ip),) if allowed_ip else (), endpoints=endpoints)


def _status(view: MeshView, key: str, entry: Entry, record: PeerRecord | None) -> tuple[RecordStatus, str]:
    if entry.value is None:
        return RecordStatus.ABSENT, f"it was deleted at revision {entry.revision}"
    if key in view.own_records or (record and view.rules.is_own(record.public_key)):
        return RecordStatus.DUPLICATE_KEY, ""
    if key in view.quarantined:
        return RecordStatus.QUARANTINED, view.quarantined[key].reason
    if record and record.left:
        return RecordStatus.LEFT, ""
    return RecordStatus.QUARANTINED, "it is not decided yet: it may have changed too often lately"
