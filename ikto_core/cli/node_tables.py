"""Records of a bucket as text: a table of all, or everything about one. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from ikto_core.cli.formatting import age
from ikto_core.cli.tables import Row, Section, line
from ikto_core.roster.listing import NodeRecord

KEY_SHOWN = 8
"""Characters of a public key in the table, enough to tell nodes apart."""

_HEADER = ("node", "subnet", "key", "written", "state")
_WIDE = ("node", "subnet", "public key", "endpoints", "program", "written", "lease", "proof", "state")


def node_table(records: Sequence[NodeRecord], now: float, *, wide: bool) -> Section:
    """Return the table of all records; `now` is in seconds since the epoch."""
    rows = [_wide_row(record, now) if wide else _row(record, now) for record in records]
    return Section(f"Records ({len(records)}):", rows, _WIDE if wide else _HEADER)


def described(record: NodeRecord, now: float) -> Section:
    """Return everything that is known of a record."""
    rows = [line(title, text) for title, text in _facts(record, now)]
    return Section(f"{record.allowed_ip or 'No subnet'}:", rows)


def _row(record: NodeRecord, now: float) -> Row:
    key = f"{record.public_key[:KEY_SHOWN]}…" if record.public_key else "?"
    return line(_name(record), record.allowed_ip or record.key, key, _written(record, now), _state(record))


def _wide_row(record: NodeRecord, now: float) -> Row:
    return line(
        _name(record),
        record.allowed_ip or record.key,
        record.public_key or "?",
        ", ".join(record.endpoints) or "none",
        _program(record),
        _written(record, now),
        _lease(record, now),
        _proof(record),
        _state(record),
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
    yield "state", _state(record)


def _name(record: NodeRecord) -> str:
    return "?" if record.name is None else record.name


def _program(record: NodeRecord) -> str:
    if record.name is None:
        return "?"
    return record.program or "not given (Ikto 0.3.0)"


def _written(record: NodeRecord, now: float) -> str:
    return age(_seconds(record.written_at), now) if record.written_at else "?"


def _lease(record: NodeRecord, now: float) -> str:
    if not record.lease_s:
        return "none"
    renewed = f", {age(_seconds(record.renewed_at), now)}" if record.renewed_at else ""
    return f"{record.lease_s} s: {record.lease or 'renewals can not be read'}{renewed}"


def _proof(record: NodeRecord) -> str:
    return "signed" if record.proved else "none"


def _state(record: NodeRecord) -> str:
    if record.quarantine:
        return f"quarantined: {record.quarantine}"
    if record.left:
        return "has left"
    if not record.accepted:
        return "does not count"
    return "accepted, draining" if record.draining else "accepted"


def _seconds(time: str) -> float | None:
    """Return a time of NATS in seconds since the epoch; None if it can't be read."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None
