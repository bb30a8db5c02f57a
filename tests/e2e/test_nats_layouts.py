"""Agents live with exactly what `ikto nats` prints: they claim, follow, renew leases and rotate keys."""

import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ikto_core.lab.agent_process import AgentProcess, write_private
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.records import record_key
from ikto_core.store.bucket_admin import create_renewals
from ikto_core.store.permissions import ADMIN, NodeAccess
from tests.e2e.conftest import IMPATIENT, Mesh, eventually
from tests.forked import END_WITH_TESTS
from tests.jwt_accounts import PREFIX, jwt_accounts
from tests.printed import LAYOUTS, Layout, printed, server_for
from tests.store.credentials import UNLIMITED, USER, Nkey, Operator, creds_file

pytestmark = pytest.mark.e2e

NAMES = ("node-1", "node-2")
NODES = tuple(f"{name}=fd10:{number}::" for number, name in enumerate(NAMES, 1))


@contextmanager
def mesh_for(server: NatsServer, login: Mapping[str, str]) -> Iterator[Mesh]:
    """A mesh in a directory with a short name, with buckets that this login of the operator makes."""
    directory = Path(tempfile.mkdtemp(prefix="ikto-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        mesh = Mesh(server, directory, stack)
        mesh.name, mesh.login = "b", dict(login)
        mesh.create_bucket()
        assert mesh.on_bucket(create_renewals)
        yield mesh


def live(mesh: Mesh, logins: Mapping[str, dict[str, Any]]) -> None:
    """Let agents with these logins do everything that they do at NATS, and deny them nothing."""
    agents = [mesh.agent(program=IMPATIENT, lease="6s", **login) for login in logins.values()]
    mesh.assert_formed()
    eventually(lambda: all(has_renewed(agent) for agent in agents))
    agents[0].admin.rotate_key()
    eventually(lambda: agents[0].admin.status().public_key != str(agents[0].public_key))
    rotated = agents[0].admin.status().public_key
    eventually(lambda: [peer.public_key for peer in agents[1].admin.peers().peers] == [rotated])
    for agent in agents:
        assert "NATS denied" not in agent.log_text()


def has_renewed(agent: AgentProcess) -> bool:
    lease = agent.admin.status().lease
    return lease is not None and lease.renewed_at is not None and not lease.failure


@pytest.mark.parametrize("layout", LAYOUTS)
def test_agents_live_with_the_printed_users(tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = LAYOUTS[layout]
    config = printed(tmp_path, chosen.command, NODES, lease="10m")
    with server_for(tmp_path, NAMES, monkeypatch, config) as server, mesh_for(server, password(ADMIN)) as mesh:
        live(mesh, {name: password(name, chosen) for name in NAMES})


@pytest.mark.parametrize(("trust", "lease"), [("any", None), ("proved", "6s")])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_node_whose_address_was_changed_lives_with_the_right_to_its_new_record_only(
    tmp_path: Path, layout: str, trust: str, lease: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It claims the new subnet. The record that it may not withdraw is an alarm that names what to grant."""
    chosen = LAYOUTS[layout]
    subject = f"$KV.b.{record_key('fd10:1::/48')}"
    subject = f"{chosen.nats_api_prefix}.{subject}" if chosen.nats_api_prefix else subject

    def config(*nodes: str) -> str:
        return printed(tmp_path, chosen.command, nodes, lease="10m")

    with server_for(tmp_path, NAMES, monkeypatch, config(*NODES)) as server, mesh_for(server, password(ADMIN)) as mesh:
        common: dict[str, Any] = {"program": IMPATIENT, "record_trust": trust} | ({"lease": lease} if lease else {})
        moved, other = [mesh.agent(**common, **password(name, chosen)) for name in NAMES]
        mesh.assert_formed()
        moved.stop()
        server.config = config("node-1=fd10:9::", NODES[1])
        server.stop()
        server.start()
        moved.config["private_address"] = "fd10:9::"
        moved.start()
        eventually(lambda: "earlier record not withdrawn" in moved.log_text())
        mesh.assert_formed()
        assert moved.admin.status().private_address == "fd10:9::"
        assert f'publication to "{subject}"' in moved.log_text().replace("\\", "")
        both = ("fd10:1::/48", "fd10:9::/48")
        assert mesh.read(both[0])
        eventually(lambda: sorted(other.admin.peers().peers[0].allowed_ips) == list(both))

        server.config = config("node-1=fd10:9::", NODES[1]).replace(record_key("fd10:9::/48"), "peers.>")
        server.stop()
        server.start()
        moved.stop()
        moved.start()
        eventually(lambda: mesh.read(both[0]) is None)
        mesh.assert_formed()


def test_a_node_without_the_right_to_its_new_record_names_the_subject_to_grant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = LAYOUTS["one account"]
    config = printed(tmp_path, chosen.command, NODES)
    with server_for(tmp_path, NAMES, monkeypatch, config) as server, mesh_for(server, password(ADMIN)) as mesh:
        agent = mesh.agent(private_address="fd10:9::", **password(NAMES[0], chosen))
        assert agent.wait() == 5
        assert f'publication to "$KV.b.{record_key("fd10:9::/48")}"' in agent.log_text()


def password(name: str, layout: Layout | None = None) -> dict[str, Any]:
    prefix = {"nats_api_prefix": layout.nats_api_prefix} if layout else {}
    return {"nats_user": name, "nats_password": f"{name}-secret"} | prefix


def test_agents_live_with_the_printed_nkeys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {name: Nkey(USER) for name in NAMES}
    chosen = LAYOUTS["an account for each node"]
    options = [option for name, key in keys.items() for option in ("--nkey", f"{name}={key.public}")]
    config = printed(tmp_path, (*chosen.command, *options), NODES, lease="10m")
    logins: dict[str, dict[str, Any]] = {}
    for name, key in keys.items():
        seed = tmp_path / f"{name}.nk"
        seed.write_text(key.seed)
        seed.chmod(0o600)
        logins[name] = {"nats_nkey_seed": str(seed), "nats_api_prefix": chosen.nats_api_prefix}
    with server_for(tmp_path, (), monkeypatch, config) as server, mesh_for(server, password(ADMIN)) as mesh:
        live(mesh, logins)


def test_agents_live_with_the_printed_permissions_in_their_jwts(tmp_path: Path) -> None:
    commands = printed(tmp_path, ("permissions", "--nsc", "MESH"), NODES, lease="10m")
    operator = Operator()
    logins = dict(_logins_of_nsc(tmp_path, operator, commands))
    admin = tmp_path / "admin.creds"
    admin.write_text(operator.creds())
    admin.chmod(0o600)
    server = running_server(tmp_path / "nats", operator.config, exec_prefix=END_WITH_TESTS)
    with server as running, mesh_for(running, {"nats_creds": str(admin)}) as mesh:
        live(mesh, logins)


def test_agents_live_in_accounts_of_their_own_that_are_jwts(tmp_path: Path) -> None:
    made = jwt_accounts(
        tuple(NodeAccess(name=name, key=record_key(f"fd10:{n}::/48")) for n, name in enumerate(NAMES, 1))
    )
    logins = {}
    for name, creds in {"admin": made.admin, **made.nodes}.items():
        write_private(tmp_path / f"{name}.creds", creds)
        logins[name] = {"nats_creds": str(tmp_path / f"{name}.creds"), "nats_api_prefix": PREFIX}
    admin = {"nats_creds": logins.pop("admin")["nats_creds"]}
    server = running_server(tmp_path / "nats", made.config, exec_prefix=END_WITH_TESTS)
    with server as running, mesh_for(running, admin) as mesh:
        live(mesh, logins)


def _logins_of_nsc(directory: Path, operator: Operator, commands: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Do what `nsc add user` does: a creds file with a JWT that has the permissions of the command."""
    for line in commands.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[:3] == ["nsc", "add", "user"]
        given = dict(zip(words[3::2], words[4::2], strict=True))
        claims: dict[str, Any] = {
            "pub": {"allow": given["--allow-pub"].split(",")},
            "sub": {"allow": given["--allow-sub"].split(",")},
        }
        user, path = Nkey(USER), directory / f"{given['--name']}.creds"
        path.write_text(creds_file(operator.account.jwt(user, {"type": "user"} | UNLIMITED | claims), user.seed))
        path.chmod(0o600)
        yield given["--name"], {"nats_creds": str(path)}
