"""`ikto why` names the true cause of each fault of the mesh: agents as processes against a real nats-server."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from ikto_core.admin.why_views import Cause, Diagnosis
from ikto_core.cli.exit_codes import NOT_KNOWN, NOT_REACHABLE
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.lab.nats_server import running_server
from ikto_core.mesh.records import PeerRecord, encode_record, record_key
from ikto_core.store.bucket import Bucket
from ikto_core.values.keys import PrivateKey
from tests.agent_mesh import IMPATIENT, Mesh
from tests.e2e.conftest import eventually, mesh_on
from tests.faults.logins import ADMIN, AGENT, users
from tests.forked import END_WITH_TESTS, run_ikto
from tests.samples import record, signed

pytestmark = pytest.mark.e2e


def why(agent: AgentProcess, target: str, *options: str) -> tuple[Diagnosis, int]:
    """Run `ikto why` on an agent's socket, and return what it prints, and its exit code."""
    done = run_ikto("why", target, "-s", str(agent.socket), "--json", *options)
    assert not done.stderr, done.stderr
    return msgspec.json.decode(done.stdout, type=Diagnosis), done.returncode


def assert_cause(agent: AgentProcess, target: str, cause: Cause, words: str, *options: str) -> Diagnosis:
    """Wait until the verdict has this cause and these words."""

    def named() -> Diagnosis:
        found, code = why(agent, target, *options)
        verdict = found.verdict
        assert verdict.cause is cause, verdict
        assert words in verdict.sentence
        assert code == {True: 0, False: NOT_REACHABLE, None: NOT_KNOWN}[verdict.reachable]
        return found

    return eventually(named)


def stranger(number: int, key: PrivateKey | None = None, **members: Any) -> PeerRecord:
    return PeerRecord(
        name=f"stranger-{number}",
        public_key=(key or PrivateKey.generate()).public(),
        advertise_address="192.0.2.99",
        wg_port=51820,
        **{"allowed_ip": f"fd10:{number:x}::/48"} | members,
    )


def put(mesh: Mesh, record: PeerRecord) -> str:
    mesh.write(record.key, encode_record(record))
    return record.name


@pytest.fixture
def pair(mesh: Mesh) -> Sequence[AgentProcess]:
    """Two agents that have each other as a peer."""
    agents = [mesh.agent(program=IMPATIENT), mesh.agent(program=IMPATIENT)]
    mesh.assert_formed()
    return agents


@pytest.mark.slow
def test_a_peer_is_found_by_name_key_subnet_address_and_endpoint(pair: Sequence[AgentProcess]) -> None:
    agent, other = pair
    key = other.public_key.text
    for target in ("node-2", key, key[:8], f"{key[:8]}…", "fd10:2::/48", "fd10:2::7", "192.0.2.2", "192.0.2.2:51820"):
        found, code = why(agent, target)
        assert (found.peer, found.public_key) == ("node-2", key), target
        assert found.verdict.cause is Cause.UNCERTAIN, "the device of a fake backend sends nothing"
        assert code == NOT_KNOWN


def test_this_node_and_what_is_no_node(pair: Sequence[AgentProcess]) -> None:
    agent, _ = pair
    assert_cause(agent, "fd10:1::7", Cause.SELF, "this node itself")
    assert_cause(agent, "node-1", Cause.SELF, "this node itself")
    assert_cause(agent, "fd10:77::1", Cause.NOT_IN_BUCKET, "no record of it")
    assert_cause(agent, "nobody", Cause.NOT_IN_BUCKET, "nobody is not reachable")
    assert_cause(agent, "fd77::1", Cause.OUTSIDE_MESH, "outside the mesh fd10::/16")


def test_records_that_make_no_peer(mesh: Mesh, pair: Sequence[AgentProcess]) -> None:
    agent, _ = pair
    inside = put(mesh, stranger(3, allowed_ip="fd10:2:0:1::/64"))
    assert_cause(agent, inside, Cause.QUARANTINED, "overlaps fd10:2::/48 of 'node-2'")
    own = put(mesh, stranger(4, allowed_ip="fd10:1:0:1::/64"))
    assert_cause(agent, own, Cause.QUARANTINED, "overlaps this node's own subnet fd10:1::/48")
    mesh.write(record_key("fd10:5::/48"), b"junk")
    assert_cause(agent, "fd10:5::1", Cause.QUARANTINED, "not a peer record")


def test_two_machines_with_one_key(mesh: Mesh, pair: Sequence[AgentProcess]) -> None:
    agent, other = pair
    put(mesh, stranger(6, PrivateKey(bytes([6] * 32))))
    put(mesh, stranger(7, PrivateKey(bytes([6] * 32))))
    assert_cause(agent, "fd10:6::1", Cause.DUPLICATE_KEY, "'stranger-7' (fd10:7::/48)")
    clone = put(mesh, stranger(8, other.private_key))
    assert_cause(agent, clone, Cause.QUARANTINED, "the owner of its public key proves its records")


@pytest.mark.slow
def test_a_node_that_left_and_one_whose_removal_is_pending(mesh: Mesh, pair: Sequence[AgentProcess]) -> None:
    agent, other = pair
    other.stop()
    mesh.write(record_key("fd10:2::/48"), None)
    assert_cause(agent, "node-2", Cause.REMOVAL_PENDING, "the removal of the peer is pending")
    agent.admin.release()
    assert_cause(agent, "fd10:2::1", Cause.NOT_IN_BUCKET, "it was deleted at revision")
    other.config["private_address"] = "fd10:9::"
    other.start()
    mesh.assert_formed()
    assert_cause(agent, "node-2", Cause.UNCERTAIN, "No fault was found")


def test_a_node_that_gave_its_subnet_up(mesh: Mesh, pair: Sequence[AgentProcess]) -> None:
    left = replace(record("fd10:a::/48", name="gone"), left=True)
    mesh.write(left.key, signed(left, bucket=mesh.name))
    assert_cause(pair[0], "gone", Cause.LEFT, "its node has left the mesh and given up fd10:a::/48")


def test_a_backend_that_fails(mesh: Mesh) -> None:
    agent = mesh.agent(program=("tests.hanging", "refuse"))
    mesh.assert_formed()
    (agent.directory / "hang").touch()
    mesh.agent()
    assert_cause(agent, "node-2", Cause.BACKEND_FAILING, "no permission; to do: run as root")


@pytest.mark.slow
def test_the_bucket_is_gone(mesh: Mesh, pair: Sequence[AgentProcess]) -> None:
    mesh.on_bucket(_delete_stream)
    found = assert_cause(pair[0], "node-2", Cause.BUCKET_MISSING, "ikto bucket create")
    assert found.peer == "node-2", "what was read before is still known"


async def _delete_stream(bucket: Bucket) -> None:
    await bucket.call("STREAM.DELETE", {})


def test_credentials_are_revoked(tmp_path: Path) -> None:
    with (
        running_server(tmp_path / "nats", users(), exec_prefix=END_WITH_TESTS) as server,
        mesh_on(server, **ADMIN) as mesh,
    ):
        agent = mesh.agent(program=IMPATIENT, **AGENT)
        mesh.agent(program=IMPATIENT, **AGENT)
        mesh.assert_formed()
        server.config = users().replace("user: node", "user: nobody")
        server.reload()
        assert_cause(agent, "node-2", Cause.NATS_DENIED, "NATS denies this node access")


def test_nats_is_down(lonely_mesh: Mesh) -> None:
    agent = lonely_mesh.agent(program=IMPATIENT)
    lonely_mesh.agent()
    lonely_mesh.assert_formed()
    lonely_mesh.server.stop()
    assert_cause(agent, "node-2", Cause.NATS_UNREACHABLE, "no connection to NATS")
    assert_cause(agent, "nobody", Cause.NATS_UNREACHABLE, "no connection to NATS")


def test_no_agent_runs(mesh: Mesh, pair: Sequence[AgentProcess]) -> None:
    agent, _ = pair
    agent.stop()
    found = assert_cause(agent, "node-2", Cause.NO_AGENT, "no agent runs")
    assert "-c FILE" in str(found.links), "without a configuration nothing was looked at"
    config = str(agent.directory / "config.json")
    found = assert_cause(agent, "node-2", Cause.NO_AGENT, "no agent runs", "-c", config)
    texts = {link.name: link.text for link in found.links}
    assert texts["record"].startswith("'node-2', fd10:2::/48, revision")
    assert "this node holds fd10:1::/48" in texts["claim"]
    assert "it has the peer with all its allowed IPs" in texts["device"]
    put(mesh, stranger(9, allowed_ip="fd10:2:0:1::/64"))
    assert_cause(agent, "stranger-9", Cause.QUARANTINED, "besides, no agent runs", "-c", config)


def test_without_agent_and_nats_the_snapshot_is_shown(lonely_mesh: Mesh) -> None:
    agent = lonely_mesh.agent(program=IMPATIENT)
    lonely_mesh.agent()
    lonely_mesh.assert_formed()
    agent.stop()
    lonely_mesh.server.stop()
    config = str(agent.directory / "config.json")
    found = assert_cause(agent, "node-2", Cause.NO_AGENT, "besides, this node has no connection to NATS", "-c", config)
    assert found.peer == "node-2"
    assert "from the snapshot saved" in str(found.links)


def test_a_lost_claim(mesh: Mesh) -> None:
    loser = mesh.agent(program=IMPATIENT)
    mesh.assert_formed()
    loser.stop()
    (loser.directory / "state" / "mesh").unlink()  # it has been away for long
    put(mesh, stranger(1))
    loser.start()
    assert loser.wait() == 4
    config = str(loser.directory / "config.json")
    found = assert_cause(
        loser, "stranger-1", Cause.LOST_CLAIM, "lost its subnet fd10:1::/48: 'stranger-1'", "-c", config
    )
    assert "no agent runs" in found.verdict.sentence


def test_people_get_a_line_for_each_link(pair: Sequence[AgentProcess]) -> None:
    agent, _ = pair
    shown = run_ikto("why", "node-2", "-s", str(agent.socket)).stdout.splitlines()
    assert shown[0].split()[:2] == ["✓", "agent"]
    assert shown[-1].startswith("No fault was found on the way to node-2")


def test_ping_says_what_it_lacks(pair: Sequence[AgentProcess]) -> None:
    agent, _ = pair
    done = run_ikto("ping", "node-2", "-s", str(agent.socket), "--count", "1", "--json")
    assert done.returncode == NOT_KNOWN
    view = json.loads(done.stdout)
    assert view["tunnel"]["failure"] == "No such device"
    assert view["tunnel"]["sent"] == 0
    assert view["underlay"]["to"] == "192.0.2.2:51820"


def test_ping_of_no_peer(pair: Sequence[AgentProcess]) -> None:
    done = run_ikto("ping", "nobody", "-s", str(pair[0].socket))
    assert done.returncode == NOT_REACHABLE
    assert "nobody is not reachable: the bucket has no record of it" in done.stdout
