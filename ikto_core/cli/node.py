"""`ikto node`: list the nodes of a mesh, show one, take one out; from any host that may read the bucket."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from ikto_core.claim.revoked_users import RevokedUsers
from ikto_core.cli.bucket_access import bucket_config, connection_options, reading_bucket, with_bucket
from ikto_core.cli.examples import examples
from ikto_core.cli.formatting import json_text
from ikto_core.cli.groups import SuggestingGroup
from ikto_core.cli.logs import log_to_stderr
from ikto_core.cli.node_tables import described, node_tables
from ikto_core.cli.options import json_option, not_empty, output_option, setting_options
from ikto_core.cli.tables import show as show_sections
from ikto_core.config import Config
from ikto_core.errors import BucketMissingError, IktoError, NatsDeniedError
from ikto_core.mesh.records import PEER_KEYS
from ikto_core.mesh.rights import Authority
from ikto_core.mesh.settings import MESH_KEY, read_settings
from ikto_core.mesh.view import Entry
from ikto_core.roster.listing import MeshTrust, NodeRecord, roster
from ikto_core.roster.removal import remove_lease, remove_record
from ikto_core.roster.selection import records_meant, require_one_node
from ikto_core.store.bucket import Bucket
from ikto_core.store.reading_once import read_once
from ikto_core.values.addressing import Prefix
from ikto_core.values.text import printable

which_argument = click.argument("which", metavar="NAME|SUBNET|KEY", callback=not_empty)
trust_option = setting_options("record_trust", "nats_account_jwt")

REMINDER = (
    "An agent that still runs writes its record again: revoke the NATS user of this node first "
    '(docs/node-life.md, "Take a node out").'
)
HELD = (
    "Nodes keep a signed record for ten minutes after it was removed; `ikto peers release` on a node ends that there."
)


@click.group(cls=SuggestingGroup, epilog=examples("ikto node list", "ikto node remove node-a"))
def node() -> None:
    """List the nodes of the mesh, show one, or take one out. Needs no agent: NATS credentials are enough.

    The verdicts are those of an agent that starts now. Give --record-trust as the agents have it.
    """
    log_to_stderr("error", as_json=False)


@node.command("list", epilog=examples("ikto node list", "ikto node list -o wide", "ikto node list --json"))
@connection_options
@trust_option
@json_option
@output_option
def list_command(config_path: Path | None, output: str, *, as_json: bool, **settings: str | None) -> None:
    """List the records of the bucket: one line for each, by subnet."""
    records = _read(bucket_config(config_path, settings))
    if as_json or output == "json":
        click.echo(json_text(records))
    else:
        show_sections(node_tables(records, time.time(), wide=output == "wide"), wide=output == "wide")


@node.command(epilog=examples("ikto node show node-a", "ikto node show fd10:1::/48 --json"))
@connection_options
@trust_option
@json_option
@which_argument
def show(config_path: Path | None, which: str, *, as_json: bool, **settings: str | None) -> None:
    """Show all that is known of a node: of the one with this name, subnet, address or key."""
    records = records_meant(_read(bucket_config(config_path, settings)), which)
    if as_json:
        click.echo(json_text(records))
    else:
        show_sections([described(record, time.time()) for record in records])


@node.command(epilog=examples("ikto node remove node-a", "ikto node remove node-a --yes"))
@connection_options
@trust_option
@json_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@which_argument
def remove(config_path: Path | None, which: str, *, as_json: bool, yes: bool, **settings: str | None) -> int:
    """Take a node out of the mesh: withdraw its record and its lease, if they are as they are shown.

    Revoke its NATS credentials first. An agent that still runs and can log in writes its record again.
    """
    config = bucket_config(config_path, settings)
    records = records_meant(_read(config), which)
    require_one_node(records, which)
    if not yes and (as_json or not sys.stdin.isatty()):
        raise click.UsageError("there is no terminal to ask on; give --yes, and nothing is asked")
    if not as_json:
        show_sections([described(record, time.time()) for record in records])
        click.echo(f"\nThis removes {_named(records)} from bucket {printable(config.nats_kv)}. {REMINDER}")
    if not (yes or click.confirm("Remove?", default=False)):
        click.echo("nothing was removed")
        return 1
    leases = with_bucket(config, lambda found: _remove(found, records))
    if as_json:
        click.echo(json_text({"removed": records, "lease_failures": leases, "reminder": REMINDER}))
        return 0
    click.echo(f"removed: {_named(records)}")
    for failure in leases:
        click.echo(printable(f"lease not removed, which does no harm: {failure}"))
    click.echo(HELD if any(record.proved for record in records) else "Nodes remove it from their devices now.")
    return 0


def _named(records: Sequence[NodeRecord]) -> str:
    return ", ".join(printable(f"{record.allowed_ip or record.key} of {record.name!r}") for record in records)


async def _remove(found: Bucket, records: Sequence[NodeRecord]) -> list[str]:
    """Remove records with their leases; return why leases could not be removed."""
    for record in records:
        if not record.key.startswith(PEER_KEYS):
            message = f"revision {record.revision} has a key that can't be read, so Ikto can't remove it"
            raise IktoError(message, hint=f"nats stream rmm KV_{found.name} {record.revision}")
        await remove_record(found, record)
    renewals = found.renewals()
    outcomes = [await remove_lease(renewals, record.key) for record in records if record.lease_s]
    return [outcome for outcome in outcomes if outcome]


def _read(config: Config) -> list[NodeRecord]:
    """Return the records of the bucket."""
    return sorted(reading_bucket(config, lambda found: _roster(found, config)), key=_by_subnet)


async def _roster(found: Bucket, config: Config) -> list[NodeRecord]:
    table = (await read_once(found)).table
    try:
        renewals = (await read_once(found.renewals())).table
    except (BucketMissingError, NatsDeniedError):
        renewals = None
    return roster(table, mesh_trust(table.get(MESH_KEY), config), renewals, datetime.now(UTC).isoformat())


def mesh_trust(mesh: Entry | None, config: Config) -> MeshTrust:
    """Return the rules of the mesh: its settings in the bucket, or else those of the configuration."""
    settings, authority = read_settings(mesh), Authority.of(config.record_trust)
    trust = MeshTrust(
        bucket=config.nats_kv,
        cidr=Prefix.parse(settings.mesh_cidr) if settings else config.mesh,
        subnet_prefix=settings.subnet_prefix if settings else config.subnet_prefix,
        require_proof=config.record_trust != "any",
        authority=authority,
        now_s=time.time(),
    )
    if not (authority and config.nats_account_jwt):
        return trust
    revoked: dict[str, float] = {}
    RevokedUsers(config.nats_account_jwt, authority.account, revoked.update).read()
    return msgspec.structs.replace(trust, revocations=revoked)


def _by_subnet(record: NodeRecord) -> tuple[bool, int, Prefix | tuple[()], str]:
    """Return the sort key: ascending subnets, IPv4 first; what has none comes last."""
    try:
        subnet = Prefix.parse(record.allowed_ip or "")
    except ValueError:
        return True, 0, (), record.key
    return False, subnet.bits, subnet, record.key
