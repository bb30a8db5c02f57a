"""`ikto leave` and `ikto down`, with and without an agent, refused, and killed in the middle."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from signal import SIGKILL
from subprocess import CompletedProcess

import pytest

from ikto_backends.fake import load_device, state_file
from ikto_core.admin.views import AgentState
from ikto_core.disk.key_file import write_private_key
from ikto_core.disk.state_file import SavedState, StateFile
from ikto_core.errors import IktoError
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.lab.nats_server import running_server
from ikto_core.mesh.records import record_key
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_renewals
from ikto_core.values.keys import PrivateKey
from tests.e2e.conftest import IMPATIENT, Mesh, eventually
from tests.e2e.dying_leave import STEPS
from tests.faults.logins import ADMIN, AGENT, users
from tests.forked import END_WITH_TESTS, run_ikto

pytestmark = pytest.mark.e2e


@pytest.fixture
def guarded_mesh(tmp_path: Path) -> Iterator[Mesh]:
    """A mesh on a server whose user for agents may lose its rights."""
    with running_server(tmp_path / "nats", users(), exec_prefix=END_WITH_TESTS) as server, ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="ikto-"))
        stack.callback(shutil.rmtree, directory)
        mesh = Mesh(server, directory, stack)
        mesh.login = ADMIN
        mesh.create_bucket()
        yield mesh


def ask(agent: AgentProcess, command: str, *options: str) -> "CompletedProcess[str]":
    return run_ikto(command, "-s", str(agent.socket), *options)


def alone(agent: AgentProcess, command: str, *options: str) -> "CompletedProcess[str]":
    """Run a command with the configuration of an agent that does not run."""
    return ask(agent, command, "-c", str(agent.directory / "config.json"), *options)


def subnet(agent: AgentProcess) -> str:
    return f"{agent.config['private_address']}/48"


def has_device(agent: AgentProcess) -> bool:
    path = state_file(agent.directory / "state", "wg0")
    return path.exists() and bool(load_device(path))


def state(agent: AgentProcess) -> SavedState:
    return StateFile(agent.directory / "state").load()


def peers(agent: AgentProcess) -> set[str]:
    return {peer.public_key for peer in agent.admin.peers().peers}


def test_leave_withdraws_the_record_removes_the_device_and_ends_the_agent(mesh: Mesh) -> None:
    leaver, peer = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    done = ask(leaver, "leave")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("left the mesh: the record is withdrawn, the device removed")
    assert leaver.wait() == 9
    assert mesh.read(subnet(leaver)) is None
    assert not has_device(leaver)
    eventually(lambda: not peers(peer))  # at once, and not after ten minutes: the node has signed that it left
    assert state(leaver).claim
    leaver.start()
    mesh.assert_formed()  # a start joins again, with the same subnet
    assert leaver.admin.status().allowed_ip == "fd10:1::/48"


def test_leave_forgets_the_claim_only_if_asked(mesh: Mesh) -> None:
    leaver = mesh.agent(private_address="auto")
    eventually(lambda: leaver.admin.status().state is AgentState.READY)
    assert ask(leaver, "leave", "--forget").returncode == 0
    assert leaver.wait() == 9
    assert state(leaver).claim is None
    assert state(leaver).serial  # the next record is later than the ones before


def test_the_lease_goes_with_the_record(mesh: Mesh) -> None:
    assert mesh.on_bucket(create_renewals)
    leaver = mesh.agent(lease="10m")

    def renewal() -> bytes | None:
        async def look(bucket: Bucket) -> bytes | None:
            entry = await bucket.renewals().get(record_key(subnet(leaver)))
            return entry.value if entry else None

        return mesh.on_bucket(look)

    eventually(renewal)
    assert ask(leaver, "leave").returncode == 0
    assert renewal() is None
    assert mesh.read(subnet(leaver)) is None


def test_down_removes_the_device_and_keeps_record_and_claim(mesh: Mesh) -> None:
    downed, peer = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    record = mesh.read(subnet(downed))
    done = ask(downed, "down")
    assert "withdrawing" not in done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert downed.wait() == 9
    assert not has_device(downed)
    assert mesh.read(subnet(downed)) == record
    assert state(downed).claim
    assert peers(peer) == {str(downed.public_key)}
    downed.start()
    mesh.assert_formed()


@pytest.mark.parametrize("options", [(), ("--forget",)])
def test_leave_without_an_agent_does_the_same(mesh: Mesh, options: tuple[str, ...]) -> None:
    leaver, peer = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    assert leaver.stop() == 0
    done = alone(leaver, "leave", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no agent was running" in done.stdout
    assert mesh.read(subnet(leaver)) is None
    assert not has_device(leaver)
    assert bool(state(leaver).claim) is state(leaver).released is not bool(options)
    eventually(lambda: not peers(peer))
    assert alone(leaver, "leave").returncode == 0  # it may be repeated


def test_down_without_an_agent_needs_no_nats(lonely_mesh: Mesh) -> None:
    downed = lonely_mesh.agent()
    eventually(lambda: downed.admin.status().state is AgentState.READY)
    downed.stop()
    lonely_mesh.server.kill()
    assert alone(downed, "down").returncode == 0
    assert not has_device(downed)
    assert state(downed).claim


def test_a_device_of_another_program_stays(mesh: Mesh) -> None:
    agent = mesh.agent()
    eventually(lambda: agent.admin.status().state is AgentState.READY)
    agent.stop()
    (agent.directory / "key").unlink()
    write_private_key(agent.directory / "key", PrivateKey.generate())
    (agent.directory / "state" / "state.json").unlink()
    done = alone(agent, "down")
    assert done.returncode == 6
    assert "has a private key that is none of this node's" in done.stderr
    assert has_device(agent)


def test_without_an_agent_and_without_a_configuration_nothing_is_done(mesh: Mesh) -> None:
    agent = mesh.agent()
    eventually(lambda: agent.admin.status().state is AgentState.READY)
    agent.stop()
    for command in ("leave", "down"):
        done = ask(agent, command)
        assert done.returncode == 1
        assert "no agent answers on" in done.stderr
        assert "-c FILE" in done.stderr
    assert has_device(agent)
    assert mesh.read(subnet(agent))


def test_a_configuration_of_another_node_takes_out_neither(mesh: Mesh) -> None:
    one, other = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    done = run_ikto("leave", "-s", str(one.socket), "-c", str(other.directory / "config.json"))
    assert done.returncode == 1
    assert "is not the node of" in done.stderr
    done = run_ikto("leave", "-s", str(other.directory / "nowhere"), "-c", str(other.directory / "config.json"))
    assert done.returncode == 1  # its agent runs, on another socket
    assert f"in use by another agent, process {other.pid} (socket {other.socket})" in done.stderr
    assert "give the socket of that agent with -s" in done.stderr
    mesh.assert_formed()


def test_without_nats_the_node_stays_and_the_command_says_why(lonely_mesh: Mesh) -> None:
    agent = lonely_mesh.agent(program=("tests.e2e.hasty_leave",))
    eventually(lambda: agent.admin.status().state is AgentState.READY)
    lonely_mesh.server.kill()
    done = ask(agent, "leave")
    assert done.returncode == 5
    assert "the node is still in the mesh: NATS did not acknowledge within" in done.stderr
    lonely_mesh.server.start()
    eventually(lambda: agent.admin.status().state is AgentState.READY)
    assert lonely_mesh.read(subnet(agent))
    assert has_device(agent)


@pytest.mark.parametrize("runs", [True, False])
def test_refused_credentials_leave_everything_as_it_was(guarded_mesh: Mesh, runs: bool) -> None:
    mesh = guarded_mesh
    agent = mesh.agent(**AGENT)
    eventually(lambda: agent.admin.status().state is AgentState.READY)
    mesh.server.config = users('publish: { deny: ["$KV.>"] }')
    mesh.server.reload()
    if not runs:
        agent.stop()
    done = ask(agent, "leave") if runs else alone(agent, "leave")
    assert done.returncode == 5
    assert "denied this node to withdraw its record" in done.stderr
    assert mesh.read(subnet(agent))
    assert has_device(agent)
    mesh.server.config = users()
    mesh.server.reload()
    if runs:
        eventually(lambda: agent.admin.status().state is AgentState.READY)
    done = ask(agent, "leave") if runs else alone(agent, "leave")
    assert (done.returncode, mesh.read(subnet(agent)), has_device(agent)) == (0, None, False)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_killed_in_the_middle(mesh: Mesh, step: str) -> None:
    """The next run joins again, with one record and one device; or a leave without an agent finishes it."""
    leaver, peer = mesh.agent(program=("tests.e2e.dying_leave", step)), mesh.agent(program=IMPATIENT)
    mesh.assert_formed()
    done = ask(leaver, "leave")
    assert done.returncode == 1
    assert "the agent ended before it was done" in done.stderr
    assert leaver.wait() == -SIGKILL
    kept = shutil.copytree(leaver.directory, leaver.directory.with_name("kept"), ignore=shutil.ignore_patterns("s"))
    leaver._command = peer._command
    leaver.start()
    mesh.assert_formed()
    assert leaver.admin.status().allowed_ip == "fd10:1::/48"
    leaver.kill()
    shutil.copytree(kept, leaver.directory, dirs_exist_ok=True)
    assert alone(leaver, "leave").returncode == 0
    assert mesh.read(subnet(leaver)) is None
    assert not has_device(leaver)
    eventually(lambda: not peers(peer))


def test_two_leaves_at_once_are_one_and_down_does_not_mix_with_them(mesh: Mesh) -> None:
    agent = mesh.agent()
    eventually(lambda: agent.admin.status().state is AgentState.READY)
    agent.admin.leave(drain_s=3600)
    agent.admin.leave(drain_s=3600)
    with pytest.raises(IktoError, match="ending already, in another way"):
        agent.admin.down()
    with pytest.raises(IktoError, match="a drain takes 0 to 3600 s"):
        agent.admin.leave(drain_s=-1)


def drained(agent: AgentProcess) -> list[bool]:
    return [peer.draining for peer in agent.admin.peers().peers]


def test_peers_know_of_a_drain_and_the_node_leaves_after_it(mesh: Mesh) -> None:
    leaver, peer = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    leaver.admin.leave(drain_s=3600)
    eventually(lambda: drained(peer) == [True])
    assert leaver.running
    assert "never, draining" in ask(peer, "peers").stdout
    eventually(lambda: "peer is draining  node-1" in ask(peer, "events").stdout)
    leaver.kill()
    leaver.start()  # the drain ends with the run that began it
    eventually(lambda: drained(peer) == [False])
    eventually(lambda: "peer stays after all  node-1" in ask(peer, "events").stdout)
    mesh.assert_formed()
    done = ask(leaver, "leave", "--drain", "100ms")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("draining: peers are told until ")
    assert leaver.wait() == 9
    eventually(lambda: drained(peer) == [])


def test_a_removed_node_is_back_while_its_agent_runs_and_gone_once_that_is_off(mesh: Mesh) -> None:
    agent, peer = mesh.agent(), mesh.agent(removal_limit=100)
    mesh.assert_formed()
    remove = ("node", "remove", "node-1", "--yes", "--nats-url", mesh.url, "--nats-kv", mesh.name)
    before = mesh.read(subnet(agent))
    done = run_ikto(*remove)
    assert done.returncode == 0
    assert "An agent that still runs writes its record again" in done.stdout
    eventually(lambda: mesh.read(subnet(agent)) not in (None, before))
    agent.stop()
    assert run_ikto(*remove).returncode == 0
    assert mesh.read(subnet(agent)) is None
    eventually(lambda: not peers(peer))
    assert run_ikto(*remove).returncode == 1  # there is none any more
