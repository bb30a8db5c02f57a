"""Takes a record out of the bucket, with its lease, at the revision that the operator has seen."""

from ikto_core.errors import BucketMissingError, IktoError, NatsDeniedError, RevisionConflictError, WriteUnknownError
from ikto_core.roster.listing import NodeRecord
from ikto_core.store.interfaces import RecordStore

ATTEMPTS = 3
"""How often a deletion is tried whose answer is lost."""


async def remove_record(store: RecordStore, record: NodeRecord) -> None:
    """Delete a record at its revision. Does nothing if it is deleted already.

    Raises:
        IktoError: The record was written again since it was read.
        NatsDeniedError: The operator's credentials do not allow it.
        NatsError: NATS did not answer, or refused.

    """
    for _ in range(ATTEMPTS):
        try:
            await store.put(record.key, None, expected=record.revision)
        except (RevisionConflictError, WriteUnknownError) as error:
            entry = await store.get(record.key)
            if entry is None or entry.value is None:
                return
            if entry.revision != record.revision:
                raise _rewritten(record) from error
        else:
            return
    raise WriteUnknownError(f"unknown whether {record.key} was removed", hint="look with `ikto node show`, try again")


async def remove_lease(renewals: RecordStore, key: str) -> str:
    """Delete the renewal of a record's lease; return why that was not possible, empty if it was or there is none.

    A renewal without its record does no harm, so a refusal is no error.
    """
    try:
        entry = await renewals.get(key)
        if entry and entry.value is not None:
            await renewals.put(key, None, expected=entry.revision)
    except BucketMissingError:
        return ""
    except (NatsDeniedError, RevisionConflictError, WriteUnknownError) as error:
        return str(error)
    return ""


def _rewritten(record: NodeRecord) -> IktoError:
    message = (
        f"{record.allowed_ip or record.key}: written again since revision {record.revision}, so it was not removed"
    )
    return IktoError(message, hint="its node runs, or another has the subnet: look again with `ikto node show`")
