"""Creates and upgrades buckets. An operator does this once; agents never do."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from ikto_core.errors import BucketMissingError, ConfigError, NatsError
from ikto_core.mesh.settings import MESH_KEY, MeshSettings, read_settings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_settings import (
    NEW_BUCKET_HINT,
    Finding,
    Setting,
    findings,
    record_settings,
    renewal_settings,
)

DUPLICATE_WINDOW_NS = 120 * 10**9
OVERWRITE_HINT = "use the settings of that mesh, or another bucket (--nats-kv); --overwrite-mesh replaces them"


class Upgrade(NamedTuple):
    """What an upgrade of a bucket did."""

    corrected: tuple[Finding, ...]
    left: tuple[Finding, ...]  # NATS can't change these, or has refused to
    refusal: str = ""  # why NATS refused a change; empty: it did not


async def create_bucket(
    bucket: Bucket,
    mesh: MeshSettings,
    *,
    replicas: int,
    memory: bool,
    overwrite_mesh: bool = False,
    on_corrected: Callable[[Finding], None] = lambda _: None,
) -> bool:
    """Create the bucket and write the mesh's settings into it; return False if it exists with the same settings.

    The settings of an existing bucket stay unchanged, `upgrade_bucket` and `change_replicas` correct them; but it is
    given the subject of the mesh's settings if it lacks that, and `on_corrected` is called with what was corrected.

    Raises ConfigError if the mesh has other settings and `overwrite_mesh` is not given, or if an existing bucket is not
    stored in memory, as asked; NatsError if the bucket can't be created.
    """
    created = await _create_if_missing(bucket, record_settings(bucket.subjects), replicas=replicas, memory=memory)
    if await _needs_mesh_settings(bucket, mesh, overwrite=overwrite_mesh):
        if not created:
            await _correct_subjects(bucket, on_corrected)
        entry = await bucket.get(MESH_KEY)
        await bucket.put(MESH_KEY, mesh.encode(), expected=entry.revision if entry else 0)
    return created


async def create_renewals(bucket: Bucket) -> bool:
    """Create the renewals bucket, with the replicas and storage of this bucket; return False if it exists.

    Raises NatsError if it can't be created.
    """
    renewals, records = bucket.renewals(), (await bucket.stream_info()).config
    memory = records.storage == "memory"
    settings = renewal_settings(renewals.subjects)
    return await _create_if_missing(renewals, settings, replicas=records.num_replicas, memory=memory)


async def change_replicas(bucket: Bucket, replicas: int) -> Finding | None:
    """Give an existing bucket this number of replicas; return what was changed, None if it has them already.

    Raises NatsError, which says what differs, if NATS refuses that.
    """
    found = (await bucket.stream_info()).config.num_replicas
    if found == replicas:
        return None
    otherwise = "the bucket does not outlive the servers that it was asked to"
    wrong = Finding(setting="num_replicas", found=found, wanted=replicas, otherwise=otherwise, correctable=True)
    try:
        await _update(bucket, [wrong])
    except NatsError as error:
        raise NatsError(f"bucket {bucket.name!r}: {wrong}: {error}", hint=error.hint) from None
    return wrong


async def upgrade_bucket(bucket: Bucket, settings: Sequence[Setting]) -> Upgrade:
    """Correct what differs from `settings` in an existing bucket, as far as NATS can change it.

    Settings that Ikto does not need stay unchanged, including those unknown to this version. Raises NatsError if the
    bucket can't be read.
    """
    before = findings(await bucket.stream_info(), settings)
    correctable = [finding for finding in before if finding.correctable]
    refusal = await _correct(bucket, correctable) if correctable else ""
    left = findings(await bucket.stream_info(), settings)
    remaining = {finding.setting for finding in left}
    return Upgrade(tuple(f for f in before if f.setting not in remaining), tuple(left), refusal)


async def _correct(bucket: Bucket, wrong: Sequence[Finding]) -> str:
    """Change these settings, all at once or, if NATS refuses that, one by one; return the last refusal."""
    try:
        await _update(bucket, wrong)
    except NatsError as error:
        refusal = str(error)
    else:
        return ""
    for finding in wrong:
        try:
            await _update(bucket, [finding])
        except NatsError as error:
            refusal = str(error)
    return refusal


async def _update(bucket: Bucket, wrong: Sequence[Finding]) -> None:
    config = (await bucket.call("STREAM.INFO", {}))["config"]
    await bucket.call("STREAM.UPDATE", config | _values((finding.setting, finding.wanted) for finding in wrong))


async def _create_if_missing(bucket: Bucket, settings: Sequence[Setting], *, replicas: int, memory: bool) -> bool:
    try:
        found = (await bucket.stream_info()).config
    except BucketMissingError:
        values = _values((setting.name, setting.value) for setting in settings)
        given = {"num_replicas": replicas, "storage": "memory" if memory else "file"}
        await bucket.call("STREAM.CREATE", _IDENTITY | {"name": bucket.stream} | values | given)
        return True
    if memory and found.storage != "memory":
        what = f"bucket {bucket.name!r} exists, and is stored in a {found.storage}, not in memory"
        raise ConfigError(what, hint=f"leave --memory out; {NEW_BUCKET_HINT}")
    return False


_IDENTITY = {"description": "Ikto mesh", "duplicate_window": DUPLICATE_WINDOW_NS, "max_consumers": -1}
"""Settings of a new stream that may be changed at will."""


def _values(settings: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: msgspec.to_builtins(value) for name, value in settings}


async def _needs_mesh_settings(bucket: Bucket, mesh: MeshSettings, *, overwrite: bool) -> bool:
    """Return whether to write the mesh's settings. Others are replaced only with `overwrite`, else ConfigError."""
    entry = await bucket.get(MESH_KEY)
    present = read_settings(entry)
    if present != mesh and entry and entry.value is not None and not overwrite:
        found = "; ".join(present.differences(mesh)) if present else "its settings can't be read"
        raise ConfigError(f"bucket {bucket.name!r} belongs to another mesh: {found}", hint=OVERWRITE_HINT)
    return present != mesh


async def _correct_subjects(bucket: Bucket, on_corrected: Callable[[Finding], None]) -> None:
    """Give the stream its subjects: without that of the mesh's settings, they can't be written."""
    for finding in findings(await bucket.stream_info(), record_settings(bucket.subjects)):
        if finding.setting == "subjects":
            await _update(bucket, [finding])
            on_corrected(finding)
