"""Where a copy of a bucket is in the bucket's history."""

from typing import Annotated

import msgspec
from msgspec import Meta

Revision = Annotated[int, Meta(ge=0)]


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """The revision of a copy of a bucket, and what shows later whether the bucket has still the same history."""

    created: str  # when the stream was created, as the leader reports it
    first_revision: Revision  # of the stream's first message
    first_time: str  # when that was stored
    revision: Revision  # of the bucket, as in the copy
    explained_surplus: int = 0  # keys of the copy that the leader does not count
    audited: Revision = 1  # at which the next slice of the audit begins
