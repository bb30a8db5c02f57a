"""Checks of the bucket: that it is there, its settings and copies, the mesh in it, and this node's permissions."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from ikto_core.diagnosis.checks import Category, Check, error, failure, ok, skipped, warning
from ikto_core.diagnosis.checks_nats import reached
from ikto_core.diagnosis.subject import Subject
from ikto_core.errors import BucketMissingError, NatsDeniedError, NatsError, RevisionConflictError
from ikto_core.mesh.records import record_key
from ikto_core.mesh.settings import MESH_KEY, MeshSettings, read_settings
from ikto_core.mesh.view import Entry
from ikto_core.plugins.check_contract import Finding
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_settings import Finding as SettingFinding
from ikto_core.store.bucket_settings import findings, record_settings
from ikto_core.values.addressing import Prefix

NO_REVISION = 2**62
"""A revision that no key has: the leader refuses such a write, if the node may write at all. Nothing is stored."""

PERMISSION_FIX = "grant it: `ikto nats accounts` and `ikto nats permissions` print what a node needs"
PLENTY = 3  # servers of a cluster that can keep a copy each


async def _bucket(subject: Subject) -> Iterable[Finding]:
    bucket = await reached(subject)
    if isinstance(bucket, Finding):
        return [bucket]
    try:
        stream = await bucket.stream_info()
    except NatsDeniedError as raised:
        return [skipped(f"{raised}")]
    return [ok(f"the bucket {bucket.name} is at revision {stream.state.last_seq}")]


async def _settings(subject: Subject) -> Iterable[Finding]:
    bucket = await reached(subject)
    if isinstance(bucket, Finding):
        return [bucket]
    try:
        stream = await bucket.stream_info()
    except NatsError:
        return [skipped("the bucket can't be looked at")]
    return [setting_finding(each) for each in findings(stream, record_settings(bucket.subjects))]


def setting_finding(found: SettingFinding) -> Finding:
    """Return a setting of the bucket that is not as it must be."""
    return warning(f"{found}: {found.otherwise}", found.hint)


async def _replicas(subject: Subject) -> Iterable[Finding]:
    bucket = await reached(subject)
    if isinstance(bucket, Finding):
        return [bucket]
    try:
        return replica_findings(await bucket.call("STREAM.INFO", {}))
    except NatsError:
        return [skipped("the bucket can't be looked at")]


def replica_findings(info: Mapping[str, Any]) -> list[Finding]:
    """Return what is wrong with the copies of a stream, from the JSON of its STREAM.INFO."""
    wanted = int(info.get("config", {}).get("num_replicas", 1))
    cluster = info.get("cluster") or {}
    copies = [copy for copy in cluster.get("replicas") or () if isinstance(copy, dict)]
    away = [str(copy.get("name", "?")) for copy in copies if copy.get("offline")]
    behind = [str(copy.get("name", "?")) for copy in copies if not copy.get("current") and not copy.get("offline")]
    if away:
        fix = "start these servers again: with half of the copies gone, nothing can be written"
        return [warning(f"{len(away)} of {wanted} copies of the bucket are offline: {', '.join(away)}", fix)]
    if behind:
        return [warning(f"these copies of the bucket are behind: {', '.join(behind)}", "look again in a minute")]
    if wanted == 1 and cluster.get("name"):
        text = f"the bucket has one copy, in a cluster: the loss of {cluster.get('leader', 'its server')} is its loss"
        return [warning(text, f"nats stream edit KV_BUCKET --replicas {PLENTY}")]
    return [ok(f"the bucket has {wanted} {'copy' if wanted == 1 else 'copies'}")]


async def _mesh_settings(subject: Subject) -> Iterable[Finding]:
    entries = await known_entries(subject)
    if isinstance(entries, Finding):
        return [entries]
    return [mesh_finding(read_settings(entries.get(MESH_KEY)), subject.node.settings)]


def mesh_finding(found: MeshSettings | None, wanted: MeshSettings) -> Finding:
    """Return whether the bucket is that of the configured mesh."""
    if found is None:
        text = "the bucket does not say which mesh it has, so nobody notices a node with another mesh_cidr"
        return warning(text, "run: ikto bucket create")
    if differences := found.differences(wanted):
        text = f"the bucket is that of another mesh: {'; '.join(differences)}"
        return error(text, "set the bucket's values in the configuration, or give nats_kv the mesh's own bucket")
    return ok(f"the bucket is that of the mesh {found.mesh_cidr}, with subnets of length {found.subnet_prefix}")


async def known_entries(subject: Subject) -> Mapping[str, Entry] | Finding:
    """Return the entries of the bucket by KV key, or the finding that they can't be read; other checks say why."""
    bucket = await reached(subject)
    if isinstance(bucket, Finding):
        return bucket
    try:
        return await subject.entries()
    except NatsError:
        return skipped("the bucket can't be read")


async def _permissions(subject: Subject) -> Iterable[Finding]:
    """Return the permissions that this node lacks. Each is tried, and nothing is written."""
    bucket = await reached(subject)
    if isinstance(bucket, Finding):
        return [bucket]
    if not await _exists(bucket):
        return [skipped("there is no bucket to try them on")]
    tries: list[Callable[[], Awaitable[object]]] = [
        bucket.stream_info,
        lambda: bucket.get(MESH_KEY),
        lambda: bucket.page(1),
        lambda: _push_subscription(subject, bucket),
        lambda: _refused_write(bucket, _own_kv_key(subject)),
    ]
    if subject.node.lease_s:
        tries.append(lambda: _renewal(bucket.renewals(), _own_kv_key(subject)))
    return [finding for attempt in tries if (finding := await _denial(attempt))]


async def _exists(bucket: Bucket) -> bool:
    try:
        await bucket.stream_info()
    except BucketMissingError:
        return False
    except NatsError:
        return True
    return True


async def _push_subscription(subject: Subject, bucket: Bucket) -> None:
    await (await subject.session()).subscribe(bucket.push_subject, lambda _: None)


async def _refused_write(bucket: Bucket, key: str) -> None:
    """Try to write with a revision that the key does not have: only a node that may write is told so."""
    try:
        await bucket.put(key, b"", expected=NO_REVISION)
    except RevisionConflictError:
        return


async def _renewal(renewals: Bucket, key: str) -> None:
    await renewals.get(key)
    await _refused_write(renewals, key)


def _own_kv_key(subject: Subject) -> str:
    """Return the KV key of this node's record; with "auto" and no claim, that of some subnet."""
    status, node = subject.status, subject.node
    if status and status.allowed_ip:
        return record_key(status.allowed_ip)
    return node.kv_key or record_key(str(Prefix.of(node.mesh.address, node.subnet_prefix)))


async def _denial(attempt: Callable[[], Awaitable[object]]) -> Finding | None:
    """Return the finding that something is denied, or does not work; None: it does."""
    try:
        await attempt()
    except NatsDeniedError as raised:
        return error(str(raised), PERMISSION_FIX)
    except NatsError as raised:
        return failure(raised)
    return None


BUCKET_CHECKS = tuple(
    Check(category=Category.BUCKET, name=name, summary=summary, run=run)
    for name, summary, run in (
        ("bucket", "the bucket is there", _bucket),
        ("permissions", "this node may do at NATS all that it must", _permissions),
        ("bucket-settings", "the settings of the bucket are as they must be", _settings),
        ("replicas", "the bucket has enough copies", _replicas),
        ("mesh-settings", "the bucket is that of the configured mesh", _mesh_settings),
    )
)
