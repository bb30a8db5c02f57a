"""`ikto bucket`: create, show, sweep and upgrade the mesh's bucket."""

import asyncio
import time
from pathlib import Path
from random import SystemRandom

import click
import msgspec

from ikto_core.cli.bucket_access import bucket_config, connection_options, reading_bucket, with_bucket
from ikto_core.cli.examples import examples
from ikto_core.cli.groups import SuggestingGroup
from ikto_core.cli.logs import log_to_stderr
from ikto_core.cli.options import json_option, setting_options
from ikto_core.cli.tables import fitted
from ikto_core.errors import BucketMissingError, NatsDeniedError, NatsError
from ikto_core.lease.policy import WATCHED_SHARE, leased_records
from ikto_core.lease.reaper import LeaseReaper
from ikto_core.mesh.records import PEER_KEYS, allowed_ip_of_key
from ikto_core.mesh.settings import MESH_KEY, MeshSettings, read_settings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import change_replicas, create_bucket, create_renewals, upgrade_bucket
from ikto_core.store.bucket_settings import Finding, Setting, findings, record_settings, renewal_settings
from ikto_core.store.follower import Follower
from ikto_core.store.reading_once import read_once
from ikto_core.values.text import printable

SWEEP_EVERY_S = 60.0


@click.group(
    cls=SuggestingGroup,
    epilog=examples("ikto bucket create -c admin.json --replicas 3", "ikto bucket show -c admin.json"),
)
def bucket() -> None:
    """Create, show, sweep or upgrade the mesh's bucket.

    `create` and `upgrade` need permission to manage NATS streams, which agents don't need.
    """
    log_to_stderr("error", as_json=False)


@bucket.command(
    short_help="Create the bucket, with the mesh's settings.",
    epilog=examples(
        "ikto bucket create -c /etc/ikto/config.json --replicas 3",
        "ikto bucket create --nats-url nats://127.0.0.1:4222 --mesh-cidr fd10::/16 --leases",
    ),
)
@connection_options
@setting_options("mesh_cidr", "subnet_prefix")
@click.option(
    "--replicas", type=click.IntRange(1, 5), help="Replicas in a NATS cluster.  [default: 1, or as the bucket has]"
)
@click.option("--memory", is_flag=True, help="Store the bucket in memory: a restart of NATS empties it.")
@click.option("--leases", is_flag=True, help="Also create the bucket in which nodes renew their leases.")
@click.option("--overwrite-mesh", is_flag=True, help="Replace other settings of the mesh that the bucket has.")
def create(
    config_path: Path | None,
    replicas: int | None,
    memory: bool,
    leases: bool,
    overwrite_mesh: bool,
    **settings: str | None,
) -> None:
    """Create the bucket and store the mesh's settings in it. Safe to repeat, for example to add --leases later.

    The settings of a bucket that exists are corrected, as by `ikto bucket upgrade`, and with --replicas their number is
    changed. Where it is stored can't be changed. The mesh's settings in it stay. If NATS refuses to correct a setting,
    the command fails.
    """
    config = bucket_config(config_path, settings)
    mesh = MeshSettings(str(config.mesh), config.subnet_prefix)

    async def create_all(found: Bucket) -> None:
        created = await create_bucket(
            found,
            mesh,
            replicas=replicas or 1,
            memory=memory,
            overwrite_mesh=overwrite_mesh,
            on_corrected=lambda corrected: click.echo(f"{found.name}: corrected: {corrected}"),
        )
        click.echo(f"{found.name}: {_OUTCOME[created]}, mesh {config.mesh} in subnets of length {config.subnet_prefix}")
        if leases:
            renewals = found.renewals()
            click.echo(f"{renewals.name}: {_OUTCOME[await create_renewals(found)]}, for leases")
        for each, _ in await _existing(found):
            if replicas and (changed := await change_replicas(each, replicas)):
                click.echo(f"{each.name}: corrected: {changed}")
        left = [(name, finding) for name, finding in await _upgrade_all(found) if finding.setting != "storage"]
        if left:
            what = "; ".join(f"bucket {name!r}: {finding}" for name, finding in left)
            raise NatsError(what, hint=left[0][1].hint)

    with_bucket(config, create_all)


_OUTCOME = {True: "created", False: "already exists"}


@bucket.command(
    epilog=examples(
        "ikto bucket show -c /etc/ikto/config.json",
        "ikto bucket show --nats-kv ikto-mesh --json",
    )
)
@connection_options
@json_option
def show(config_path: Path | None, as_json: bool, **settings: str | None) -> None:
    """Show the bucket, its mesh, and every setting of it that is not as it must be."""
    config = bucket_config(config_path, settings)
    shown, wrong = reading_bucket(config, _describe)
    if as_json:
        named = [{"bucket": name, **msgspec.structs.asdict(finding)} for name, finding in wrong]
        click.echo(msgspec.json.encode(shown | {"findings": named}))
        return
    for title, value in shown.items():
        click.echo(f"{title.replace('_', ' ')}: {value}")
    for name, finding in wrong:
        click.echo(fitted(printable(f"{name}: {_described(finding)}"), indent=2))


@bucket.command(
    epilog=examples(
        "ikto bucket sweep -c /etc/ikto/config.json",
        "ikto bucket sweep -c /etc/ikto/config.json --now",
    )
)
@connection_options
@click.option(
    "--now", is_flag=True, help="Sweep once, by NATS timestamps alone. Only safe if NATS was up the whole time."
)
def sweep(config_path: Path | None, now: bool, **settings: str | None) -> None:
    """Remove records whose lease expired, until stopped. For meshes whose nodes may not remove other nodes' records."""
    with_bucket(bucket_config(config_path, settings), lambda found: _sweep(found, once=now))


async def _sweep(found: Bucket, *, once: bool) -> None:
    reaper = LeaseReaper(found, found.renewals(), slack_s=SWEEP_EVERY_S / 4, share=0 if once else WATCHED_SHARE)
    follower, due_s = Follower(lambda _: None, SystemRandom()), time.monotonic()
    while True:
        await follower.resync(found)
        await reaper.write_renewal("sweeper", b"")
        for record in await reaper.reap(leased_records(follower.table), time.monotonic(), due_s):
            click.echo(f"{allowed_ip_of_key(record.key)}: removed: its lease of {record.lease_s} s expired")
        if once:
            return
        due_s = time.monotonic() + SWEEP_EVERY_S
        await asyncio.sleep(SWEEP_EVERY_S)


@bucket.command(
    short_help="Correct the settings of a bucket, such as one of Ikto 0.3.0.",
    epilog=examples(
        "ikto bucket upgrade -c /etc/ikto/config.json",
    ),
)
@connection_options
def upgrade(config_path: Path | None, **settings: str | None) -> None:
    """Correct the settings of the bucket, and of the one for leases: writes are pushed, and nothing is lost.

    Records and the mesh's settings stay. With a history longer than 1, earlier values of the keys are removed. Safe to
    repeat. Nodes of Ikto 0.3.0 are not affected.
    """
    with_bucket(bucket_config(config_path, settings), _upgrade_all)


async def _upgrade_all(found: Bucket) -> list[tuple[str, Finding]]:
    """Upgrade both buckets, and print what was corrected; print and return what is left, by the bucket's name."""
    all_left: list[tuple[str, Finding]] = []
    for each, settings in await _existing(found):
        done = await upgrade_bucket(each, settings)
        for corrected in done.corrected:
            click.echo(f"{each.name}: corrected: {corrected}")
        for left in done.left:
            click.echo(f"{each.name}: {_described(left)}")
        if done.refusal:
            click.echo(f"{each.name}: {done.refusal}")
        if not done.corrected and not done.left:
            click.echo(f"{each.name}: all settings are as they must be")
        all_left += [(each.name, left) for left in done.left]
    return all_left


async def _existing(found: Bucket) -> list[tuple[Bucket, tuple[Setting, ...]]]:
    """Return the bucket and, if there is one, that for leases, with the settings that each must have."""
    renewals = found.renewals()
    await found.stream_info()
    try:
        await renewals.stream_info()
    except (BucketMissingError, NatsDeniedError):
        return [(found, record_settings(found.subjects))]
    return [(found, record_settings(found.subjects)), (renewals, renewal_settings(renewals.subjects))]


def _described(finding: Finding) -> str:
    return f"{finding}: {finding.otherwise} ({finding.hint})"


async def _describe(found: Bucket) -> tuple[dict[str, object], list[tuple[str, Finding]]]:
    """Return what to show of the bucket, and the findings with the name of their bucket."""
    stream = await found.stream_info()
    wrong = [
        (each.name, finding)
        for each, settings in await _existing(found)
        for finding in findings(await each.stream_info(), settings)
    ]
    bucket = await read_once(found)
    settings = read_settings(bucket.table.get(MESH_KEY))
    records = [key for key, entry in bucket.table.items() if key.startswith(PEER_KEYS) and entry.value is not None]
    shown: dict[str, object] = {
        "bucket": found.name,
        "mesh_cidr": settings.mesh_cidr if settings else None,
        "subnet_prefix": settings.subnet_prefix if settings else None,
        "records": len(records),
        "revision": stream.state.last_seq,
        "replicas": stream.config.num_replicas,
        "storage": stream.config.storage,
        "history": stream.config.max_msgs_per_subject,
        "follows_by_push": found.republishes_writes(stream),
        "created": stream.created,
    }
    return shown, wrong
