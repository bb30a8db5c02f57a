"""Agents on a real server answer how they are, with the permissions that `ikto nats` prints, and not without."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from ikto_core.agent.from_config import nats_settings
from ikto_core.config import config_from_flags
from ikto_core.errors import NatsDeniedError
from ikto_core.fleet.asking import Answers, Asker, Roster
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.lab.nats_server import running_server
from ikto_core.mesh.records import record_key
from ikto_core.store.connection import open_session
from ikto_core.store.permissions import ADMIN, NodeAccess, Permissions, asker_permissions, node_permissions
from ikto_core.store.subjects import Subjects
from ikto_core.values.keys import PublicKey
from tests.e2e.conftest import IMPATIENT, Mesh, eventually
from tests.e2e.test_nats_layouts import NAMES, NODES, mesh_for, password
from tests.forked import END_WITH_TESTS
from tests.printed import LAYOUTS, printed, server_for

pytestmark = pytest.mark.e2e


def roster(*agents: AgentProcess) -> Roster:
    return {agent.public_key: frozenset({record_key(agent.admin.status().allowed_ip or "")}) for agent in agents}


def ask(
    mesh: Mesh, asked: Roster, name: str = "asker", login: Mapping[str, Any] | None = None, **options: Any
) -> Answers:
    """Ask over a connection of a client with this name and login."""

    async def connected() -> Answers:
        members = {"private_address": "auto", "nats_url": mesh.url} | dict(mesh.login if login is None else login)
        settings = nats_settings(config_from_flags(members), name)
        async with open_session(settings, Random()) as session:
            return await Asker(session, mesh.name).ask(asked, **({"timeout_s": 60.0} | options))

    return asyncio.run(connected())


def assert_complete(answers: Answers) -> Answers:
    assert not answers.missing
    assert not answers.forged
    return answers


def _only_from(agent: AgentProcess, answers: Answers) -> Answers:
    assert answers.by_node.keys() == {agent.public_key}
    return answers


ASKER = "watcher"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_agents_answer_with_the_printed_permissions(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = LAYOUTS[layout]
    config = printed(tmp_path, (*chosen.command, "--asker", ASKER), NODES)
    with (
        server_for(tmp_path, (*NAMES, ASKER), monkeypatch, config) as server,
        mesh_for(server, password(ADMIN)) as mesh,
    ):
        agents = [mesh.agent(program=IMPATIENT, **password(name, chosen)) for name in NAMES]
        first, second = mesh.assert_formed()
        everybody = roster(*agents)
        for name, login in ((ASKER, password(ASKER)), ("bucket", password(ADMIN))):
            assert_complete(ask(mesh, everybody, name, login))
        if layout == "one account":
            assert_complete(ask(mesh, everybody, NAMES[0], password(NAMES[0])))
        else:
            with pytest.raises(NatsDeniedError, match="from an account of its own"):
                ask(mesh, everybody, NAMES[0], password(NAMES[0], chosen))
        one = ask(mesh, everybody, ASKER, password(ASKER), to=agents[0].public_key, about=agents[1].public_key)
        found = assert_complete(one).by_node[agents[0].public_key].answer
        assert (found.state, found.version, found.revision) == ("ready", first.version, first.revision)
        assert (found.accepted, found.quarantined) == (1, 0)
        assert found.heard
        assert [key for key, _ in found.heard.states()] == [second.public_key[:8]]
        assert found.about
        assert found.about.handshake_age_s is None  # the fake device shakes no hands
        for agent in agents:
            assert "violation" not in agent.log_text()
            assert "dropped messages" not in agent.log_text()


def users(users: Mapping[str, Permissions]) -> str:
    """Return the configuration of a server with the operator and these users, all in one account."""
    listed = [{"user": ADMIN, "password": f"{ADMIN}-secret"}]
    for name, allowed in users.items():
        permissions = {"publish": allowed.publish, "subscribe": allowed.subscribe}
        listed.append({"user": name, "password": f"{name}-secret", "permissions": permissions})  # type: ignore[dict-item]
    return f"authorization: {json.dumps({'users': listed})}"


def access(number: int, *, answers: bool = True) -> Permissions:
    node = NodeAccess(name=f"node-{number}", key=record_key(f"fd10:{number}::/48"))
    return node_permissions(node, Subjects("b"), leases=False, answers=answers)


@pytest.mark.slow
def test_a_node_without_the_permissions_goes_on_with_one_warning_and_the_asker_needs_no_more_than_it_says(
    tmp_path: Path,
) -> None:
    subjects = Subjects("b")
    silenced = access(3)
    silenced = msgspec.structs.replace(silenced, publish=tuple(p for p in silenced.publish if "answer" not in p))
    config = users(
        {
            "node-1": access(1),
            "node-2": access(2, answers=False),
            "node-3": silenced,
            "watcher": asker_permissions("watcher", subjects),
        }
    )
    with ExitStack() as stack:
        server = stack.enter_context(running_server(tmp_path / "nats", config, exec_prefix=END_WITH_TESTS))
        mesh = stack.enter_context(mesh_for(server, password(ADMIN)))
        agents = [mesh.agent(program=IMPATIENT, **password(f"node-{number}")) for number in (1, 2, 3)]
        mesh.assert_formed()
        everybody = roster(*agents)
        for _ in range(2):
            eventually(lambda: _only_from(agents[0], ask(mesh, everybody, "watcher", password("watcher"), timeout_s=2)))
        for agent, permission in ((agents[1], "ikto-ask.b"), (agents[2], "ikto-answer.b.")):
            warnings = [line for line in agent.log_text().splitlines() if "answers no questions" in line]
            assert len(warnings) == 1
            assert permission in warnings[0]
        assert "answers no questions" not in agents[0].log_text()
        mesh.assert_formed()
        with pytest.raises(NatsDeniedError, match="ikto-answer"):
            ask(mesh, everybody, "node-2", password("node-2"))


def test_nodes_that_are_stopped_or_do_not_answer_are_missing(mesh: Mesh) -> None:
    agents = [mesh.agent(), mesh.agent(mesh_answers=False), mesh.agent()]
    mesh.assert_formed()
    everybody = roster(*agents)
    agents[2].stop()
    answers = eventually(lambda: _only_from(agents[0], ask(mesh, everybody, timeout_s=2)))
    assert answers.missing == {agents[1].public_key, agents[2].public_key}
    assert "WARN" not in agents[1].log_text()
    agents[2].start()
    mesh.assert_formed()
    eventually(lambda: not ask(mesh, roster(agents[2]), timeout_s=2.0).missing)


def test_a_node_answers_with_its_new_key_after_a_rotation(mesh: Mesh) -> None:
    agent, other = mesh.agent(program=IMPATIENT), mesh.agent(program=IMPATIENT)
    mesh.assert_formed()
    before = roster(agent, other)
    agent.admin.rotate_key()
    eventually(lambda: agent.admin.status().public_key != str(agent.public_key))
    after = PublicKey.parse(agent.admin.status().public_key)
    answers = eventually(lambda: assert_complete(ask(mesh, {after: before[agent.public_key]}, timeout_s=2.0)))
    assert answers.by_node[after].answer.public_key == after.text
