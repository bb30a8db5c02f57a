"""With an account in record_trust, agents on a real nats-server own what their users may write, and nobody else does.

The attacker may write every key of the bucket, as a node can that has the server write for it (docs/security.md).
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ikto_core.lab.agent_process import AgentProcess, write_private
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.records import PeerRecord, decode_record, record_key
from ikto_core.mesh.rights import GRACE_S
from ikto_core.store.permissions import NodeAccess, node_permissions
from ikto_core.store.subjects import Subjects
from ikto_core.values.times import utc
from ikto_core.values.user_jwt import parse_user_jwt
from tests.agent_mesh import Mesh, eventually
from tests.entitled import BUCKET, Account, entitled
from tests.samples import KEYS, record, signed
from tests.store.credentials import USER, Nkey, Operator, creds_file

pytestmark = pytest.mark.e2e

ACCOUNT, STRANGERS = Account(), Account()
OPERATOR = Operator(account=ACCOUNT.key, signing_keys=(ACCOUNT.signing_key,))
FREE = [f"fd10:{number:x}::/48" for number in range(0x91, 0x9F)]
"""Subnets that no node has claimed."""


class EntitledMesh(Mesh):
    """Agents whose users have a JWT for their own record; the first is signed by the account, others by its key."""

    def entitled_agent(self, expires_s: float | None = None, **members: Any) -> AgentProcess:
        number = len(self.agents) + 1
        path = self.creds(number, f"fd10:{number}::/48", expires_s)
        settings: dict[str, Any] = {"nats_creds": str(path), "record_trust": ACCOUNT.record_trust}
        return self.agent(**settings | members)

    def creds(self, number: int, allowed_ip: str, expires_s: float | None = None) -> Path:
        node = NodeAccess(name=f"node-{number}", key=record_key(allowed_ip))
        allowed, user = node_permissions(node, Subjects(self.name), leases=False), Nkey(USER)
        by = None if number == 1 else ACCOUNT.signing_key
        jwt = ACCOUNT.jwt(user, allowed.publish, expires_s, by=by, sub={"allow": list(allowed.subscribe)})
        path = self._directory / f"{number}.creds"
        path.unlink(missing_ok=True)
        write_private(path, creds_file(jwt, user.seed))
        return path


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[EntitledMesh]:
    """An empty mesh on a server that knows one account's users by JWTs, in the bucket for which `entitled` signs."""
    directory = Path(tempfile.mkdtemp(prefix="ikto-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        server = NatsServer(tmp_path, OPERATOR.config)
        stack.callback(server.stop)
        server.start()
        write_private(directory / "admin.creds", OPERATOR.creds())
        made = EntitledMesh(server, directory, stack)
        made.name, made.login = BUCKET, {"nats_creds": str(directory / "admin.creds")}
        made.create_bucket()
        yield made


def attacks(victims: PeerRecord) -> Iterator[tuple[bytes, str, str]]:
    """Yield values for subnets that are free, their KV keys, and the reasons for which they must be refused."""
    attacker, own = Nkey(USER), record_key("fd10:66::/48")
    own_jwt = ACCOUNT.jwt(attacker, [f"$KV.{BUCKET}.{own}"])
    free = [record(subnet, KEYS[number % 5], "attacker") for number, subnet in enumerate(FREE)]
    all_keys = ACCOUNT.jwt(attacker, [f"$KV.{BUCKET}.peers.>"])
    long_ago = time.time() - GRACE_S - 60
    for found, value, reason in (
        (free[0], signed(free[0], 1), "it has no user JWT"),
        (free[1], entitled(free[1], 1, STRANGERS), f"is of account {STRANGERS.key.public}"),
        (
            free[2],
            entitled(free[2], 1, ACCOUNT, user=attacker, jwt=ACCOUNT.jwt(attacker, [">"], by=STRANGERS.signing_key)),
            "which record_trust does not name",
        ),
        (free[3], entitled(free[3], 1, ACCOUNT, user=attacker, jwt=own_jwt), "does not allow to publish on"),
        (free[4], entitled(free[4], 1, ACCOUNT, expires_s=long_ago), "more than 7 days ago"),
        (free[5], entitled(free[5], 1, ACCOUNT, user=attacker, jwt=victims.user_jwt), "does not allow to publish on"),
        (free[6], signed(replace(free[6], user_jwt=all_keys), 1), "has not signed it"),
    ):
        yield value, found.key, reason


def quarantined(agent: AgentProcess) -> dict[str, str]:
    return {found.key: found.reason for found in agent.admin.status().quarantined}


def reasons(mesh: Mesh, keys: Sequence[str]) -> list[list[str]]:
    """Return for each agent why these KV keys are quarantined there; wait until all of them are."""

    def found() -> list[list[str]]:
        return [[quarantined(agent)[key] for key in keys] for agent in mesh.agents]

    return eventually(lambda: found() if all(quarantined(agent).keys() >= set(keys) for agent in mesh.agents) else [])


def test_agents_accept_each_other_and_refuse_every_record_without_a_right(mesh: EntitledMesh) -> None:
    for _ in range(2):
        mesh.entitled_agent()
    mesh.assert_formed()
    victims = decode_record(record_key("fd10:1::/48"), mesh.read("fd10:1::/48") or b"")
    made = list(attacks(victims))
    for value, key, _ in made:
        mesh.write(key, value)
    for found in reasons(mesh, [key for _, key, _ in made]):
        for reason, (_, _, expected) in zip(found, made, strict=True):
            assert expected in reason
    for _, key, _ in made:
        mesh.write(key, None)
    mesh.entitled_agent()
    mesh.assert_formed()


def test_a_node_that_is_switched_off_stays_a_peer_whatever_overwrites_its_record(mesh: EntitledMesh) -> None:
    victim, other = mesh.entitled_agent(), mesh.entitled_agent()
    mesh.assert_formed()
    victim.stop()
    found = decode_record(record_key("fd10:1::/48"), mesh.read("fd10:1::/48") or b"")
    copied = entitled(replace(found, public_key=KEYS[0]), 2**50, ACCOUNT, user=Nkey(USER), jwt=found.user_jwt)
    mesh.write(found.key, copied)
    reason = eventually(lambda: quarantined(other).get(found.key, ""))
    assert "without that key's proof (the NATS user of its JWT has not signed it)" in reason
    assert [peer.public_key for peer in other.admin.peers().peers] == [str(victim.public_key)]


def test_the_right_is_shown_before_it_is_required(mesh: EntitledMesh) -> None:
    """So a mesh gets to record_trust "account:…" node by node, and no node loses a peer."""
    agents = [mesh.entitled_agent(record_trust="any") for _ in range(2)]
    mesh.assert_formed()
    for agent in agents:
        agent.stop()
        agent.config["record_trust"] = ACCOUNT.record_trust
        agent.start()
        mesh.assert_formed()
    assert not any(quarantined(agent) for agent in agents)
    assert all(agent.admin.status().counters.proof.overwrites == 0 for agent in agents)


def test_a_renewed_jwt_reaches_the_bucket(mesh: EntitledMesh) -> None:
    soon = time.time() + 86400
    agent = mesh.entitled_agent(expires_s=soon)
    mesh.assert_formed()
    credentials = agent.admin.status().credentials
    assert credentials
    assert (credentials.expires_at, credentials.expires_soon, credentials.failure) == (utc(int(soon)), True, None)
    assert "NATS credentials expire soon" in agent.log_text()
    agent.stop()
    before = mesh.read("fd10:1::/48")
    mesh.creds(1, "fd10:1::/48")
    agent.start()
    mesh.assert_formed()
    eventually(lambda: mesh.read("fd10:1::/48") != before)
    renewed = decode_record(record_key("fd10:1::/48"), mesh.read("fd10:1::/48") or b"")
    assert renewed.user_jwt in (mesh._directory / "1.creds").read_text()


def test_a_user_that_the_account_revokes_loses_its_peers(mesh: EntitledMesh) -> None:
    path = mesh._directory / "account.jwt"
    path.write_text(OPERATOR.key.jwt(ACCOUNT.key, {"type": "account"}))
    path.chmod(0o644)
    agent = mesh.entitled_agent(nats_account_jwt=str(path))
    mesh.entitled_agent()
    mesh.assert_formed()
    agent.stop()
    revoked = decode_record(record_key("fd10:2::/48"), mesh.read("fd10:2::/48") or b"")
    user = parse_user_jwt(revoked.user_jwt).user
    path.write_text(OPERATOR.key.jwt(ACCOUNT.key, {"type": "account", "revocations": {user: int(time.time()) + 60}}))
    agent.start()
    assert eventually(lambda: quarantined(agent)) == {revoked.key: "its user JWT is revoked"}
    assert agent.admin.peers().peers == ()
    agent.stop()
    path.write_text("junk")
    agent.start()
    code, said = refusal(agent)
    assert code == 3
    assert f"nats_account_jwt: {path}: the JWT is not a JWT" in said


def refusal(agent: AgentProcess) -> tuple[int, str]:
    """Return the exit code of an agent that can't start, and the one line that it says."""
    code = agent.wait()
    (said,) = [line for line in agent.log_text().splitlines() if line.startswith("ikto: ")]
    return code, said


def test_an_agent_whose_record_others_would_refuse_does_not_start(mesh: EntitledMesh) -> None:
    code, said = refusal(mesh.agent(record_trust=ACCOUNT.record_trust, nats_user="node", nats_password="x"))
    assert code == 8
    assert "record_trust requires nats_creds with a user JWT" in said
    other = mesh.creds(9, "fd10:99::/48")
    code, said = refusal(mesh.entitled_agent(nats_creds=str(other)))
    assert code == 8
    assert f"the user JWT does not allow to publish on $KV.{BUCKET}.{record_key('fd10:2::/48')}" in said
    assert mesh.read("fd10:2::/48") is None


def test_an_agent_with_a_claim_goes_on_with_a_jwt_that_lost_the_right_and_says_so(mesh: EntitledMesh) -> None:
    agent, other = mesh.entitled_agent(), mesh.entitled_agent()
    mesh.assert_formed()
    agent.stop()
    before = mesh.read("fd10:1::/48")
    agent.config["nats_creds"] = str(mesh.creds(9, "fd10:99::/48"))
    agent.config["name"] = "node-9"  # the inbox that this user may subscribe to
    agent.start()
    eventually(lambda: "does not allow to publish" in (agent.admin.status().nats.failure or ""))
    status = agent.admin.status()
    assert status.credentials
    assert "does not allow to publish" in (status.credentials.failure or "")
    assert status.accepted == 1
    assert mesh.read("fd10:1::/48") == before
    assert other.admin.status().accepted == 1
