"""The public JSON of an agent that an operator has asked to end. The rules of views.py hold here, too."""

from datetime import datetime
from enum import Enum

import msgspec


class LeaveStep(Enum):
    """How far an agent is that an operator has asked to end."""

    NONE = "none"  # nobody has asked
    DRAINING = "draining"  # peers are told, and get time
    WITHDRAWING = "withdrawing"  # the record is being withdrawn
    REMOVING = "removing"  # the record is withdrawn, or was to stay; the device is being removed
    DONE = "done"  # the agent ends now
    FAILED = "failed"  # the agent goes on as before


class LeaveView(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/leave`, `POST /v1/leave` and `POST /v1/down`: how far the agent is with ending."""

    step: LeaveStep
    until: datetime | None = None  # when the drain ends; null: there is none
    failure: str | None = None  # why the step failed; when done: why the device could not be removed; null: no failure
    hint: str | None = None  # what to do about `failure`; null: no failure, or nothing is known
