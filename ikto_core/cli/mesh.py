"""`ikto mesh`: every node's state as it reports it, and who hears whom."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import SystemRandom

import click

from ikto_core.agent.from_config import nats_settings, node_name
from ikto_core.cli.bucket_access import bucket_config, connection_options
from ikto_core.cli.examples import examples
from ikto_core.cli.formatting import json_text
from ikto_core.cli.logs import log_to_stderr
from ikto_core.cli.mesh_page import page
from ikto_core.cli.mesh_text import sections
from ikto_core.cli.node import mesh_trust
from ikto_core.cli.options import json_option, setting_options
from ikto_core.cli.progress import progress
from ikto_core.cli.tables import show
from ikto_core.config import Config
from ikto_core.disk.atomic_file import replace_file
from ikto_core.errors import ConfigError
from ikto_core.fleet.asking import Asker
from ikto_core.fleet.matrix import Matrix
from ikto_core.fleet.overview import KnownNode, MeshOverview, overview
from ikto_core.mesh.settings import MESH_KEY
from ikto_core.roster.listing import NodeRecord, roster
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.store.session import Session
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey

SHORTEST_INTERVAL_S = 5.0
"""An agent answers a question in two seconds, whoever asks: a faster watch would take the answers of others."""

PAGE_MODE = 0o666
"""Less the umask: a web server of another user may serve the page."""

CLEAR_SCREEN = "\x1b[H\x1b[2J"

Show = Callable[[MeshOverview, Matrix], None]


@click.command(
    short_help="Ask every node how it is; show who hears whom.",
    epilog=examples("ikto mesh -c /etc/ikto/config.json", "ikto mesh --json", "ikto mesh --html mesh.html"),
)
@connection_options
@setting_options("name", "record_trust", "nats_account_jwt")
@json_option
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False, readable=False), metavar="FILE", help="Write a page, too."
)
@click.option("--watch", is_flag=True, help="Ask again and again, until stopped.")
@click.option(
    "--interval",
    type=click.FloatRange(min=SHORTEST_INTERVAL_S),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="With --watch: the pause between two questions.",
)
def mesh(
    config_path: Path | None, html: Path | None, interval: float, *, watch: bool, as_json: bool, **settings: str | None
) -> None:
    """Ask every node of the mesh how it is, and show the answers and who hears whom.

    Needs no agent on this host: NATS credentials are enough, of a node (-c FILE), or of a user that `ikto nats --asker`
    prints (--name is its name). Nodes that do not answer are shown as such: they are off, have no connection to NATS,
    may not answer, or run an earlier version.
    """
    log_to_stderr("error", as_json=False)

    def show_all(found: MeshOverview, matrix: Matrix) -> None:
        if html:
            write_page(html, page(found, matrix))
        if as_json:
            click.echo(json_text(found))
        else:
            click.echo(CLEAR_SCREEN * (watch and sys.stdout.isatty()), nl=False, color=True)
            show(sections(found, matrix))

    asyncio.run(_ask(bucket_config(config_path, settings), show_all, interval if watch else None))


def write_page(path: Path, text: str) -> None:
    """Replace a page as a whole: a browser that loads it again sees the old or the new one."""
    try:
        replace_file(path, text.encode(errors="backslashreplace"), mode=PAGE_MODE)
    except OSError as error:
        message = f"{path}: can't be written: {error.strerror}"
        raise ConfigError(message, hint="name a file in a directory of yours") from None


async def _ask(config: Config, show_all: Show, interval_s: float | None) -> None:
    """Ask once, or every `interval_s` seconds until cancelled."""
    random = SystemRandom()
    async with open_session(nats_settings(config, node_name(config)), random) as session:
        look = Look(session, config, Follower(lambda _: None, random))
        await repeated(lambda: look.once(show_all), interval_s, asyncio.sleep)


async def repeated(
    once: Callable[[], Awaitable[None]], interval_s: float | None, sleep: Callable[[float], Awaitable[None]]
) -> None:
    """Call `once`, and again after each pause of `interval_s`; None: call it once."""
    await once()
    while interval_s is not None:
        await sleep(interval_s)
        await once()


class Look:
    """Looks at the mesh over one session, as often as it is asked to."""

    def __init__(self, session: Session, config: Config, follower: Follower) -> None:
        self._config = config
        self._bucket = Bucket(session, config.nats_kv)
        self._asker = Asker(session, config.nats_kv)
        self._follower = follower

    async def once(self, show_all: Show) -> None:
        """Read the bucket, ask the nodes, and show what came of it."""
        with progress("reading the bucket") as shown:
            await self._follower.resync(self._bucket)
            table, asked_at = self._follower.table, time.time()
            nodes = known_nodes(roster(table, mesh_trust(table.get(MESH_KEY), self._config), None, ""))
            shown.say(f"asking {len(nodes)} nodes")
            answers = await self._asker.ask({node.public_key: node.kv_keys for node in nodes})
        revision = self._follower.revision
        show_all(*overview(nodes, answers, bucket=self._bucket.name, revision=revision, asked_at=asked_at))


def known_nodes(records: Sequence[NodeRecord]) -> list[KnownNode]:
    """Return the nodes that the accepted records make, by ascending subnet."""
    records_of: dict[str, list[NodeRecord]] = {}
    for record in records:
        if record.accepted and record.public_key:
            records_of.setdefault(record.public_key, []).append(record)
    return sorted((_node(key, found) for key, found in records_of.items()), key=_first_subnet)


def _node(key: str, records: Sequence[NodeRecord]) -> KnownNode:
    latest = max(records, key=lambda record: record.revision)
    subnets = sorted(Prefix.parse(record.allowed_ip) for record in records if record.allowed_ip)
    return KnownNode(
        public_key=PublicKey.parse(key),
        name=latest.name or "",
        allowed_ips=tuple(map(str, subnets)),
        kv_keys=frozenset(record.key for record in records),
    )


def _first_subnet(node: KnownNode) -> tuple[int, Prefix]:
    first = Prefix.parse(node.allowed_ips[0])
    return first.bits, first
