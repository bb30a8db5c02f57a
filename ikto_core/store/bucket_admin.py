"""Making and upgrading a bucket: what an operator does once, and no agent ever does."""

from typing import Any

from ikto_core.errors import BucketMissingError, ConfigError, IktoError
from ikto_core.mesh.settings import MESH_KEY, MeshSettings, read_settings
from ikto_core.store.bucket import Bucket

MAX_VALUE_BYTES = 32 * 1024
"""Twice what an agent reads: nobody can fill the stream with a few writes."""

RENEWAL_BYTES = 1024
RENEWALS_KEPT_NS = 90 * 86400 * 10**9
"""Renewals of nodes that are gone go themselves, long after the longest lease (30 days)."""

DUPLICATE_WINDOW_NS = 120 * 10**9


async def create_bucket(bucket: Bucket, mesh: MeshSettings, *, replicas: int, memory: bool) -> bool:
    """Make the bucket with the mesh's settings in it; return False if it is there already, with the same settings.

    Raises ConfigError if it is there with other settings, NatsError if it can't be made.
    """
    try:
        await bucket.stream_info()
        made = False
    except BucketMissingError:
        await bucket.call("STREAM.CREATE", _stream_config(bucket, replicas=replicas, memory=memory))
        made = True
    await _settle(bucket, mesh)
    return made


async def create_renewals(bucket: Bucket) -> bool:
    """Make the bucket where leases are renewed, with copies and storage as this one's; return False if it is there.

    Nobody follows it, so nothing is republished. Raises NatsError if it can't be made.
    """
    renewals = bucket.renewals()
    try:
        await renewals.stream_info()
    except BucketMissingError:
        made = (await bucket.stream_info()).config
        config = _stream_config(renewals, replicas=made.num_replicas, memory=made.storage == "memory")
        del config["republish"]
        limits = {"max_age": RENEWALS_KEPT_NS, "max_msg_size": RENEWAL_BYTES, "description": "Leases of an Ikto mesh"}
        await renewals.call("STREAM.CREATE", config | limits)
        return True
    return False


async def upgrade_bucket(bucket: Bucket) -> bool:
    """Have a bucket made for 0.3.0 republish its writes and answer Direct Get; return False if it does already.

    Everything else about the stream stays as it is, settings that this version does not know included. Raises
    IktoError if the stream republishes to somebody else, NatsError if it can't be changed.
    """
    if bucket.follows_by_push(await bucket.stream_info()):
        return False
    config = (await bucket.call("STREAM.INFO", {}))["config"]
    present = config.get("republish") or {}
    if present and present.get("dest") != bucket.pushes:
        raise IktoError(
            f"bucket {bucket.name!r} republishes to {present.get('dest')!r}, and a stream can to one place only",
            hint="agents follow it all the same, by hints",
        )
    await bucket.call("STREAM.UPDATE", config | _followable(bucket))
    return True


def _stream_config(bucket: Bucket, *, replicas: int, memory: bool) -> dict[str, Any]:
    """What NATS' own clients give a KV bucket of history 1, and what following it without a consumer needs."""
    return {
        "name": bucket.stream,
        "description": "Ikto mesh",
        "subjects": [bucket.writes],
        "num_replicas": replicas,
        "storage": "memory" if memory else "file",
        "retention": "limits",
        "discard": "new",
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_msgs_per_subject": 1,
        "max_msg_size": MAX_VALUE_BYTES,
        "duplicate_window": DUPLICATE_WINDOW_NS,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        **_followable(bucket),
    }


def _followable(bucket: Bucket) -> dict[str, Any]:
    return {"allow_direct": True, "republish": {"src": bucket.writes, "dest": bucket.pushes}}


async def _settle(bucket: Bucket, mesh: MeshSettings) -> None:
    """Write the mesh's settings where there are none; contradicting ones are never overwritten."""
    entry = await bucket.get(MESH_KEY)
    present = read_settings(entry)
    if present is None:
        await bucket.put(MESH_KEY, mesh.encode(), expected=entry.revision if entry else 0)
    elif differences := present.differences(mesh):
        raise ConfigError(
            f"bucket {bucket.name!r} holds another mesh: {'; '.join(differences)}",
            hint="give its values, or another bucket (--nats-kv)",
        )
