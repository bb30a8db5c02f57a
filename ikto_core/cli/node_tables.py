"""Records of a bucket as text: a table of all, or everything about one. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from ikto_core.cli.tables import Row, Section, line, short_keys
from ikto_core.roster.listing import NodeRecord
from ikto_core.values.ages import age
from ikto_core.values.nats_time import nats_time_s

_HEADER = ("name", "subnet", "key", "state", "written")
_WIDE = ("name", "subnet", "key", "endpoints", "program", "proof", "state", "lease", "written")


def node_tables(records: Sequence[NodeRecord], now: float, *, wide: bool) -> list[Section]:
    """Return the table of all records, and why some are quarantined; `now` is in seconds since the epoch."""
    keys = short_keys((record.public_key for record in records if record.public_key), wide=wide)
    rows = [_wide_row(record, now) if wide else _row(record, keys, now) for record in records]
    refused = [line(_subnet(record), record.quarantine or "") for record in records if record.quarantine]
    table = Section(f"Records ({len(records)}):", rows, _WIDE if wide else _HEADER)
    return [table, Section(f"Quarantined records ({len(refused)}):", refused)] if refused else [table]


def described(record: NodeRecord, now: float) -> Section:
    """Return everything that is known of a record."""
    rows = [line(title, text) for title, text in _facts(record, now)]
    return Section(f"{record.allowed_ip or 'No subnet'}:", rows)


def _row(record: NodeRecord, keys: Mapping[str, str], now: float) -> Row:
    key = keys[record.public_key] if record.public_key else "?"
    return line(_name(record), _subnet(record), key, _state(record), _written(record, now))


def _wide_row(record: NodeRecord, now: float) -> Row:
    return line(
        _name(record),
        _subnet(record),
        record.public_key or "?",
        ", ".join(record.endpoints) or "none",
        _program(record),
        _proof(record),
        _state(record),
        _lease(record, now),
        _written(record, now),
    )


def _facts(record: NodeRecord, now: float) -> Iterator[tuple[str, str]]:
    yield "name", _name(record)
    yield "KV key", record.key
    yield "public key", record.public_key or "can't be read"
    yield "endpoints", ", ".join(record.endpoints) or "none"
    yield "program", _program(record)
    yield "written", f"{_written(record, now)}, at revision {record.revision}"
    yield "lease", _lease(record, now)
    yield "proof", _proof(record)
    yield "state", f"quarantined: {record.quarantine}" if record.quarantine else _state(record)


def _name(record: NodeRecord) -> str:
    return "?" if record.name is None else record.name


def _program(record: NodeRecord) -> str:
    if record.name is None:
        return "?"
    return record.program or "not given (Ikto 0.3.0)"


def _written(record: NodeRecord, now: float) -> str:
    return age(nats_time_s(record.written_at), now) if record.written_at else "?"


def _lease(record: NodeRecord, now: float) -> str:
    if not record.lease_s:
        return "none"
    renewed = f", {age(nats_time_s(record.renewed_at), now)}" if record.renewed_at else ""
    return f"{record.lease_s} s: {record.lease or 'renewals can not be read'}{renewed}"


def _proof(record: NodeRecord) -> str:
    return "signed" if record.proved else "none"


def _subnet(record: NodeRecord) -> str:
    return record.allowed_ip or record.key


def _state(record: NodeRecord) -> str:
    """Return the state in a word or two; why a record is quarantined is shown elsewhere."""
    if record.quarantine:
        return "quarantined"
    if record.left:
        return "has left"
    if not record.accepted:
        return "not counted"
    return "draining" if record.draining else "accepted"
