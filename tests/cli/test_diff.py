"""`ikto diff` and `ikto plan` say what an agent would do, by its own planner, and do nothing."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ikto_backends.fake import load_device, state_file
from ikto_core.cli import plan as plan_command
from ikto_core.cli.main import run
from ikto_core.lab.agent_process import AgentProcess, write_private
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.testing.devices import public_key_of
from tests.agent_mesh import Mesh, eventually
from tests.e2e.conftest import lonely_mesh, mesh
from tests.other_user import NOBODY, needs_root

__all__ = ["lonely_mesh", "mesh"]  # fixtures

Ikto = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ikto(capsys: pytest.CaptureFixture[str]) -> Ikto:
    """Run a command; return its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([*map(str, arguments)])
        return code, *capsys.readouterr()

    return call


def of(agent: AgentProcess) -> tuple[object, ...]:
    return "-c", agent.directory / "config.json", "-s", agent.socket


def snapshot_of(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}


def test_a_node_in_sync_has_nothing_to_do_with_and_without_its_agent(mesh: Mesh, ikto: Ikto) -> None:
    agent, _ = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    code, text, _ = ikto("diff", *of(agent))
    assert code == 0
    assert text.startswith("wg0 (fake), by the agent's own view of the mesh, revision ")
    assert text.endswith(": nothing to do\n")
    code, text, _ = ikto("diff", *of(agent), "--no-agent")
    assert code == 0
    assert text.startswith("wg0 (fake), by the bucket and the configuration, without an agent, revision ")


def test_before_the_first_start_the_device_would_be_made_and_nothing_is_written(mesh: Mesh, ikto: Ikto) -> None:
    other, agent = mesh.agent(), mesh.agent(start=False)
    mesh.assert_formed(other)
    agent.directory.joinpath("config.json").write_text(json.dumps(agent.config))
    revision = mesh.on_bucket(lambda bucket: bucket.info()).last_revision
    code, text, _ = ikto("diff", *of(agent), "--json")
    view = json.loads(text)
    assert code == 20
    assert [change["action"] for change in view["changes"]] == ["create-device", "set-device", "add-peer"]
    assert view["changes"][1]["after"]["add_addresses"] == "fd10:2::/16"
    assert view["changes"][2]["public_key"] == str(other.public_key)
    assert view["source"] == "bucket"
    assert not (agent.directory / "state").exists()
    assert mesh.on_bucket(lambda bucket: bucket.info()).last_revision == revision
    agent.start()
    mesh.assert_formed()
    device = load_device(state_file(agent.directory / "state", "wg0"))
    assert [key.text for key in device.peers] == [view["changes"][2]["public_key"]]


def test_what_changed_while_the_agent_was_away_is_shown_by_its_names(mesh: Mesh, ikto: Ikto) -> None:
    agent, other = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    agent.stop()
    other.stop()
    newcomer = mesh.agent(name="newcomer")
    eventually(lambda: mesh.read("fd10:3::/48"))
    before = snapshot_of(agent.directory / "state")
    code, text, _ = ikto("diff", *of(agent))
    assert code == 20
    assert f"+ add peer newcomer ({newcomer.public_key})" in text
    assert "allowed_ips  fd10:3::/48" in text
    assert snapshot_of(agent.directory / "state") == before


def test_without_nats_the_snapshot_is_what_would_be_restored(lonely_mesh: Mesh, ikto: Ikto) -> None:
    agent, _ = lonely_mesh.agent(), lonely_mesh.agent()
    lonely_mesh.assert_formed()
    eventually(lambda: agent.admin.status().snapshot.revision == agent.admin.status().revision)
    agent.stop()
    lonely_mesh.server.kill()
    device = next(path for path in (agent.directory / "state").iterdir() if "wg0" in path.name)
    device.unlink()
    code, text, _ = ikto("diff", *of(agent), "--json")
    view = json.loads(text)
    assert (code, view["source"]) == (20, "snapshot")
    assert [change["action"] for change in view["changes"]] == ["create-device", "set-device", "add-peer"]


def test_a_subnet_that_is_in_use_ends_diff_as_it_would_end_the_agent(mesh: Mesh, ikto: Ikto) -> None:
    mesh.agent()
    mesh.assert_formed()
    late = mesh.agent(start=False, private_address="fd10:1::")
    late.directory.joinpath("config.json").write_text(json.dumps(late.config))
    code, _, stderr = ikto("diff", *of(late))
    assert code == 4
    assert stderr == "ikto: fd10:1::/48 is in use (`ikto doctor` says by whom)\n"


@needs_root
def test_a_state_that_can_not_be_read_is_one_line(mesh: Mesh, ikto: Ikto) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    agent.stop()
    (agent.directory / "state").chmod(0o700)
    for path in (agent.directory, agent.directory.parent):
        path.chmod(0o755)
    os.chown(agent.directory / "key", NOBODY, NOBODY)
    os.chown(agent.directory / "config.json", NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        code, _, stderr = ikto("diff", *of(agent))
    finally:
        os.seteuid(0)
    assert code == 1
    assert "state.json can't be read: Permission denied (run as the agent's user, or as root)" in stderr


def changed(agent: AgentProcess, name: str = "new.json", **members: object) -> Path:
    path = agent.directory / name
    write_private(path, json.dumps(agent.config | members))
    return path


def test_a_plan_compares_with_the_running_agent(mesh: Mesh, ikto: Ikto) -> None:
    agent, _ = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    assert ikto("plan", "-c", agent.directory / "config.json", "-s", agent.socket)[0] == 0
    new = changed(agent, private_address="fd10:9::", wg_port=51999)
    code, text, _ = ikto("plan", "-c", new, "-s", agent.socket)
    assert code == 20
    assert "private_address  fd10:1:: → fd10:9::" in text
    assert "another subnet is claimed, then this node's earlier record is withdrawn" in text
    assert "listen_port       51820 → 51999" in text
    assert "remove_addresses  fd10:1::/16" in text
    assert agent.admin.status().private_address == "fd10:1::"
    assert mesh.read("fd10:9::/48") is None


def test_a_plan_is_what_a_restart_then_does(mesh: Mesh, ikto: Ikto) -> None:
    agent, _ = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    new = changed(agent, persistent_keepalive=25, fwmark=7, mtu=1300)
    _, text, _ = ikto("plan", "-c", new, "--from", agent.directory / "config.json", "--json", "-s", agent.socket)
    plan = json.loads(text)
    assert plan["compared_with"] == str(agent.directory / "config.json")
    assert [change["setting"] for change in plan["settings"]] == ["mtu", "persistent_keepalive", "fwmark"]
    written = {name: text for change in plan["changes"] for name, text in change["after"].items()}
    assert written == {"mtu": "1300", "fwmark": "7", "persistent_keepalive": "25"}
    agent.stop()
    agent.config |= {"persistent_keepalive": 25, "fwmark": 7, "mtu": 1300}
    agent.start()
    mesh.assert_formed()
    code, text, _ = ikto("plan", "-c", new, "-s", agent.socket, "--json")
    assert code == 0
    assert json.loads(text)["changes"] == []


def test_a_plan_says_why_an_agent_would_not_start_with_the_agents_exit_code(mesh: Mesh, ikto: Ikto) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    code, text, _ = ikto("plan", "-c", changed(agent, backend="acme"), "-s", agent.socket)
    assert code == 7
    assert "An agent would not start:\n  there is no backend 'acme'" in text
    mesh.agent()
    mesh.assert_formed()
    code, text, _ = ikto("plan", "-c", changed(agent, private_address="fd10:2::"), "-s", agent.socket, "--json")
    assert code == 4
    assert json.loads(text)["refusals"] == ["fd10:2::/48 is in use (`ikto doctor` says by whom)"]


def test_no_secret_is_in_what_the_agent_says_of_its_configuration(mesh: Mesh, ikto: Ikto) -> None:
    agent = mesh.agent(nats_url=mesh.url.replace("//", "//u:hunter2@"))
    mesh.assert_formed()
    settings = agent.admin.config()
    assert "hunter2" not in json.dumps(settings)
    assert settings["wg_dev_name"] == "wg0"
    _, text, _ = ikto("plan", "-c", agent.directory / "config.json", "-s", agent.socket)
    assert "hunter2" not in text
    assert "nats_url  can't be compared: an agent does not show secrets" in text


def test_a_secret_is_compared_with_that_of_a_file_and_not_shown(mesh: Mesh, ikto: Ikto) -> None:
    agent = mesh.agent(start=False)
    old, new = (
        changed(agent, f"{password}.json", nats_user="u", nats_password=password) for password in ("geheim", "secret")
    )
    _, text, _ = ikto("plan", "-c", new, "--from", old)
    assert "nats_password  (hidden) → (hidden)" in text
    assert "the connection to NATS is made with this login" in text
    assert "geheim" not in text.replace(str(old), "")
    _, text, _ = ikto("plan", "-c", new, "--from", new)
    assert "nats_password" not in text


def test_a_former_device_would_be_deleted_first_and_is_not_by_asking(mesh: Mesh, ikto: Ikto) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    agent.stop()
    before = snapshot_of(agent.directory / "state")
    code, text, _ = ikto("diff", "-c", changed(agent, wg_dev_name="wg9"), "--no-agent", "--json")
    actions = [(change["action"], change["ifname"]) for change in json.loads(text)["changes"]]
    assert code == 20
    assert actions == [("delete-device", "wg0"), ("create-device", "wg9"), ("set-device", "wg9")]
    assert snapshot_of(agent.directory / "state") == before


def test_a_device_of_somebody_else_ends_diff_as_it_ends_the_agent(mesh: Mesh, ikto: Ikto) -> None:
    agent = mesh.agent(start=False)
    path = state_file(agent.directory / "state", "wg0")
    path.parent.mkdir()
    other = mesh.agent()
    mesh.assert_formed(other)
    path.write_bytes(state_file(other.directory / "state", "wg0").read_bytes())
    code, _, stderr = ikto("diff", "-c", changed(agent), "--no-agent")
    assert code == 6
    assert "wg0: the device has a private key that is none of this node's" in stderr
    code, text, _ = ikto("diff", "-c", changed(agent, adopt_device=True), "--no-agent")
    assert code == 20
    assert "private_key       (hidden) → (hidden)" in text


def test_a_next_key_that_is_announced_is_put_on_no_device_that_follows_the_bucket(mesh: Mesh, ikto: Ikto) -> None:
    agent = mesh.agent(start=False)
    announcing = PeerRecord(
        name="node-9",
        public_key=public_key_of(9),
        advertise_address="192.0.2.9",
        allowed_ip="fd10:9::/48",
        wg_port=51820,
        next_public_key=public_key_of(10),
    )
    mesh.write(announcing.key, encode_record(announcing))
    _, text, _ = ikto("diff", "-c", changed(agent), "--no-agent", "--json")
    added = [change["public_key"] for change in json.loads(text)["changes"] if change["action"] == "add-peer"]
    assert added == [public_key_of(9).text]


def test_a_plan_says_whether_a_restart_is_needed(mesh: Mesh, ikto: Ikto) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    for members, restart, said in (({"log_level": "debug"}, False, "reload"), ({"mtu": 1300}, True, "restart")):
        path = changed(agent, **members)
        assert json.loads(ikto("plan", "-c", path, "-s", agent.socket, "--json")[1])["restart"] is restart
        assert f"systemctl {said} ikto" in ikto("plan", "-c", path, "-s", agent.socket)[1]


def test_a_plan_with_nothing_to_compare_with_asks_for_it(
    mesh: Mesh, ikto: Ikto, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = mesh.agent(start=False)
    monkeypatch.setattr(plan_command, "DEFAULT_CONFIG", agent.directory / "none.json")
    code, _, stderr = ikto("plan", "-c", changed(agent), "-s", agent.socket)
    assert code == 1
    assert "--from FILE" in stderr
    assert "ikto init" not in stderr
