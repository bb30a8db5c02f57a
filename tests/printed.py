"""What `ikto nats` prints for a mesh, loaded into real servers, and who logs in there."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from ikto_core.cli.nats import nats
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.store.permissions import ADMIN, variable_word
from ikto_core.store.session import NatsSettings
from ikto_core.store.subjects import api_prefix
from tests.forked import END_WITH_TESTS


class Layout(NamedTuple):
    """A way to give nodes access, and the prefix of the JetStream API that they use there."""

    command: tuple[str, ...]
    nats_api_prefix: str = ""


LAYOUTS = {
    "one account": Layout(("permissions",)),
    "an account for each node": Layout(("accounts",), "MESH.API"),
}


def printed(directory: Path, command: Sequence[str], nodes: Sequence[str], **settings: Any) -> str:
    """Return what `ikto nats` prints for these nodes (NAME=ADDRESS)."""
    config = directory / "ikto.json"
    config.write_text(json.dumps({"private_address": "auto", "nats_kv": "b"} | settings))
    result = CliRunner().invoke(nats, [*command, "-c", str(config), *nodes], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@contextmanager
def server_for(
    directory: Path, names: Sequence[str], monkeypatch: pytest.MonkeyPatch, config: str
) -> Iterator[NatsServer]:
    """Run a nats-server with a printed configuration; every password is the user's name with `-secret`."""
    monkeypatch.setenv("IKTO_ADMIN_PASSWORD", f"{ADMIN}-secret")
    for name in names:
        monkeypatch.setenv(f"IKTO_PASSWORD_{variable_word(name)}", f"{name}-secret")
    with running_server(directory / "nats", config, exec_prefix=END_WITH_TESTS) as server:
        yield server


def login(server: NatsServer, layout: Layout, name: str) -> NatsSettings:
    """Return how a node, or the operator, logs in to such a server."""
    prefix = "" if name == ADMIN else layout.nats_api_prefix
    return NatsSettings(
        servers=(server.url,),
        user=name,
        password=f"{name}-secret",
        inbox="_INBOX" if name == ADMIN else f"_INBOX_{name}",
        api_prefix=api_prefix("", prefix),
    )
