"""What lets an agent into NATS is taken away, expires, and comes back."""

import math
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from ikto_core.lab.agent_process import AgentProcess, write_private
from ikto_core.lab.nats_server import NatsServer
from tests.agent_mesh import eventually
from tests.faults.conftest import Stopwatch
from tests.faults.harness import FaultMesh, shown
from tests.faults.logins import ADMIN, AGENT, DENIED, users
from tests.store.credentials import Operator

DENIALS = {"the pushes": 'subscribe: { deny: ["ikto.>"] }', "everything": DENIED}


def make(directory: Path, stack: ExitStack, config: str, **login: str) -> tuple[NatsServer, FaultMesh]:
    """Run a server that asks for a login, and make a mesh on it."""
    server = NatsServer(directory / "nats", config)
    stack.callback(server.kill)
    server.start()
    mesh = FaultMesh(server, directory, stack)
    mesh.login = login
    mesh.create_bucket()
    return server, mesh


def is_pushed_to(mesh: FaultMesh, agent: AgentProcess) -> None:
    """See to it that what is written reaches an agent by push, not by asking now and then."""
    before = agent.admin.status().counters.follower.pushes
    mesh.add_stranger()
    eventually(lambda: agent.admin.status().counters.follower.pushes > before, timeout_s=5)


@pytest.mark.fault("a user's permission for {what} is revoked for 10 s")
@pytest.mark.parametrize("what", DENIALS)
def test_revoked(directory: Path, stack: ExitStack, converging: Stopwatch, what: str) -> None:
    """The agent reports the denial and keeps every peer; permitted again, it follows by pushes as before."""
    server, mesh = make(directory, stack, users(), **ADMIN)
    denied = mesh.agent(**AGENT)
    mesh.formed(2, **mesh.login)
    server.config = users(DENIALS[what])
    server.reload()
    revoked_at = time.monotonic()
    eventually(lambda: "NATS denied" in (denied.admin.status().nats.failure or ""), timeout_s=30)
    time.sleep(max(0, 10 - (time.monotonic() - revoked_at)))
    server.config = users()
    server.reload()
    with converging.running():
        mesh.assert_follows()
    is_pushed_to(mesh, denied)
    mesh.assert_nobody_removed()


@pytest.mark.fault("a user is renamed, so that the agent can't log in, and is renamed back")
def test_locked_out(directory: Path, stack: ExitStack, converging: Stopwatch) -> None:
    """The agent keeps every peer, and retries until it can log in again."""
    server, mesh = make(directory, stack, users(), **ADMIN)
    denied = mesh.agent(**AGENT)
    others = mesh.formed(2, **mesh.login)[1:]
    server.config = users().replace("user: node", "user: nobody")
    server.reload()
    eventually(lambda: not denied.admin.status().nats.connected)
    mesh.assert_follows(*others)
    server.config = users()
    server.reload()
    with converging.running():
        mesh.assert_follows()
    mesh.assert_nobody_removed()


@pytest.mark.fault("a creds file expires, and is renewed 5 s later")
def test_expired(directory: Path, stack: ExitStack, converging: Stopwatch) -> None:
    """The agent keeps every peer, reports that the credential has expired, and uses the renewed file."""
    operator = Operator()
    for name in ("good", "short"):
        write_private(directory / name, operator.creds())
    _, mesh = make(directory, stack, operator.config, nats_creds=str(directory / "good"))
    agents = mesh.formed(2, **mesh.login)
    expires_s = math.ceil(time.time()) + 4
    write_private(directory / "short", operator.creds(expires_s=expires_s))
    expiring = mesh.agent(nats_creds=str(directory / "short"))
    mesh.assert_whole()
    before = shown(expiring)
    eventually(lambda: "expired" in (expiring.admin.status().nats.failure or ""))
    mesh.assert_follows(*agents[:2])
    time.sleep(max(0, expires_s + 5 - time.time()))
    assert shown(expiring) == before
    write_private(directory / "short", operator.creds())
    with converging.running():
        mesh.assert_follows()
    mesh.assert_nobody_removed()
