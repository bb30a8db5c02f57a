"""How the stream of a bucket must be configured, and which settings of a stream differ from that. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from ikto_core.mesh.records import MAX_RECORD_BYTES
from ikto_core.store.api import Republish, StreamConfig, StreamInfo
from ikto_core.store.subjects import Subjects

MAX_MESSAGE_BYTES = MAX_RECORD_BYTES + 1024
"""A record of the largest size that agents accept, and its headers."""

MAX_RENEWAL_BYTES = 1024
RENEWALS_MAX_AGE_NS = 90 * 86400 * 10**9
"""Renewals of removed nodes expire after this time, well above the longest lease (30 days)."""

UPGRADE_HINT = "run: ikto bucket upgrade"
NEW_BUCKET_HINT = "NATS can't change this in an existing bucket: create another one, and set nats_kv on all nodes"


class Setting(NamedTuple):
    """A setting of a stream, and the value that a bucket needs."""

    name: str  # in the stream's configuration
    value: Any
    otherwise: str  # what happens with another value
    changeable: bool = True  # in an existing stream (seen with nats-server 2.15)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of a stream that is not as it must be."""

    setting: str
    found: Any
    wanted: Any
    otherwise: str  # what happens with the value found
    correctable: bool  # whether `ikto bucket upgrade` corrects it

    def __str__(self) -> str:
        return f"{self.setting} is {_text(self.found)}, not {_text(self.wanted)}"

    @property
    def hint(self) -> str:
        """What to do about it."""
        return UPGRADE_HINT if self.correctable else NEW_BUCKET_HINT


def record_settings(subjects: Subjects) -> tuple[Setting, ...]:
    """Return the settings of the bucket that has the records."""
    republish = Republish(src=subjects.stored, dest=subjects.pushes)
    return (
        *_common_settings(subjects),
        Setting("max_age", 0, "records disappear after this time, in nanoseconds"),
        Setting("max_msg_size", MAX_MESSAGE_BYTES, "a client can fill the stream quickly, or records are refused"),
        Setting("republish", republish, "agents are not told of a write, and look for it"),
    )


def renewal_settings(subjects: Subjects) -> tuple[Setting, ...]:
    """Return the settings of the bucket in which leases are renewed. It has no followers, so nothing is republished."""
    return (
        *_common_settings(subjects),
        Setting("max_age", RENEWALS_MAX_AGE_NS, "renewals are kept for ever, or are lost before a lease ends"),
        Setting("max_msg_size", MAX_RENEWAL_BYTES, "a client can fill the stream quickly, or renewals are refused"),
    )


def _common_settings(subjects: Subjects) -> tuple[Setting, ...]:
    """Return the settings of both buckets, in an order in which they can be corrected one by one."""
    full = "at this limit the oldest records disappear, or new ones are refused"
    return (
        Setting("subjects", (subjects.stored,), "keys are missing, or what is no record is stored"),
        Setting("subject_delete_marker_ttl", 0, "it requires that rollups are allowed"),
        Setting("allow_rollup_hdrs", False, "one write with the header Nats-Rollup removes all records"),
        Setting("deny_purge", True, "a purge removes records without a trace"),
        Setting("deny_delete", True, "a record can be deleted without a trace"),
        Setting("discard_new_per_subject", False, "no record can be written a second time"),
        Setting("max_msgs_per_subject", 1, "replaced records are kept, and agents read them too"),
        Setting("max_msgs", -1, full),
        Setting("max_bytes", -1, full),
        Setting("discard", "new", "at a limit records disappear"),
        Setting("retention", "limits", "records disappear when a consumer has read them"),
        Setting("no_ack", False, "no write is acknowledged, and no node can join"),
        Setting("allow_direct", True, "agents read the bucket one record at a time"),
        Setting("subject_transform", None, "records are stored under other keys"),
        Setting("sources", None, "another stream writes records, whatever this bucket's permissions are"),
        Setting("allow_msg_schedules", False, "a node can have its message stored under another node's key", False),
        Setting("mirror", None, "no node can write its record", False),
        Setting("sealed", False, "no node can write its record", False),
        Setting("storage", "file", "a restart of NATS empties the bucket", False),
        Setting("persist_mode", "", "a power failure loses writes that were acknowledged", False),
    )


def findings(stream: StreamInfo, settings: Sequence[Setting]) -> list[Finding]:
    """Return the settings of a stream that differ; none if everything is as it must be."""
    return [
        Finding(
            setting=setting.name,
            found=found,
            wanted=setting.value,
            otherwise=setting.otherwise,
            correctable=setting.changeable and (setting.name != "republish" or found is None),  # others may need it
        )
        for setting in settings
        if (found := _found(stream.config, setting)) != setting.value
    ]


def _found(config: StreamConfig, setting: Setting) -> Any:  # noqa: ANN401 - of the setting's own type
    found = getattr(config, setting.name)
    if setting.name == "republish" and found and found.src == ">":  # all subjects of the stream
        return msgspec.structs.replace(found, src=setting.value.src)
    return found


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
