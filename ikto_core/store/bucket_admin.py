"""Creates and upgrades buckets. An operator does this once; agents never do."""

from typing import Any

from ikto_core.errors import BucketMissingError, ConfigError, IktoError
from ikto_core.mesh.settings import MESH_KEY, MeshSettings, read_settings
from ikto_core.store.bucket import Bucket

MAX_VALUE_BYTES = 32 * 1024
"""Twice the size that an agent reads, and a limit to how fast a client can fill the stream."""

MAX_RENEWAL_BYTES = 1024
RENEWALS_MAX_AGE_NS = 90 * 86400 * 10**9
"""Renewals of removed nodes expire after this time, well above the longest lease (30 days)."""

DUPLICATE_WINDOW_NS = 120 * 10**9


async def create_bucket(bucket: Bucket, mesh: MeshSettings, *, replicas: int, memory: bool) -> bool:
    """Create the bucket with the mesh's settings; return False if it exists with the same settings.

    Raises ConfigError if it exists with other settings, NatsError if it can't be created.
    """
    try:
        await bucket.stream_info()
        created = False
    except BucketMissingError:
        await bucket.call("STREAM.CREATE", _stream_config(bucket, replicas=replicas, memory=memory))
        created = True
    await _ensure_settings(bucket, mesh)
    return created


async def create_renewals(bucket: Bucket) -> bool:
    """Create the renewals bucket, with the replicas and storage of this bucket; return False if it exists.

    It has no followers, so its writes are not republished. Raises NatsError if it can't be created.
    """
    renewals = bucket.renewals()
    try:
        await renewals.stream_info()
    except BucketMissingError:
        records = (await bucket.stream_info()).config
        config = _stream_config(renewals, replicas=records.num_replicas, memory=records.storage == "memory")
        del config["republish"]
        limits = {
            "max_age": RENEWALS_MAX_AGE_NS,
            "max_msg_size": MAX_RENEWAL_BYTES,
            "description": "Leases of an Ikto mesh",
        }
        await renewals.call("STREAM.CREATE", config | limits)
        return True
    return False


async def upgrade_bucket(bucket: Bucket) -> bool:
    """Make a bucket created for 0.3.0 republish its writes and allow Direct Get; return False if it does already.

    All other settings of the stream stay unchanged, including those unknown to this version. Raises IktoError if the
    stream republishes to another subject, NatsError if it can't be changed.
    """
    if bucket.republishes_writes(await bucket.stream_info()):
        return False
    config = (await bucket.call("STREAM.INFO", {}))["config"]
    republish = config.get("republish") or {}
    if republish and republish.get("dest") != bucket.push_subject:
        raise IktoError(
            f"bucket {bucket.name!r} republishes to {republish.get('dest')!r}, and a stream has only one such subject",
            hint="no upgrade is needed: agents follow the bucket without pushes, with a delay",
        )
    await bucket.call("STREAM.UPDATE", config | _push_settings(bucket))
    return True


def _stream_config(bucket: Bucket, *, replicas: int, memory: bool) -> dict[str, Any]:
    """Return the settings that NATS clients give a KV bucket with history 1, and those that followers need."""
    return {
        "name": bucket.stream,
        "description": "Ikto mesh",
        "subjects": [bucket.write_subject],
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
        **_push_settings(bucket),
    }


def _push_settings(bucket: Bucket) -> dict[str, Any]:
    return {"allow_direct": True, "republish": {"src": bucket.write_subject, "dest": bucket.push_subject}}


async def _ensure_settings(bucket: Bucket, mesh: MeshSettings) -> None:
    """Write the mesh's settings if there are none. Raises ConfigError if there are others; they are not overwritten."""
    entry = await bucket.get(MESH_KEY)
    present = read_settings(entry)
    if present is None:
        await bucket.put(MESH_KEY, mesh.encode(), expected=entry.revision if entry else 0)
    elif differences := present.differences(mesh):
        raise ConfigError(
            f"bucket {bucket.name!r} belongs to another mesh: {'; '.join(differences)}",
            hint="use the settings of that mesh, or another bucket (--nats-kv)",
        )
