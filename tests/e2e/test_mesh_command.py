"""`ikto mesh` on real agents, from a host without one."""

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from ikto_core.cli.main import run
from ikto_core.cli.mesh import repeated
from ikto_core.fleet import asking
from ikto_core.fleet.answer import read_request
from ikto_core.fleet.overview import MeshOverview
from ikto_core.lab.simulated_nodes import SimulatedNode
from ikto_core.mesh.records import encode_record
from ikto_core.store.connection import open_session
from ikto_core.store.permissions import ADMIN
from ikto_core.store.received import Received
from ikto_core.store.session import NatsSettings
from ikto_core.store.subjects import Subjects
from tests.e2e.conftest import IMPATIENT, Mesh, eventually
from tests.e2e.test_nats_layouts import NAMES, NODES, mesh_for, password
from tests.printed import LAYOUTS, printed, server_for
from tests.samples import KEY, OTHER_KEY, record

pytestmark = pytest.mark.e2e


def shown(mesh: Mesh, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["mesh", "--nats-url", mesh.url, "--nats-kv", mesh.name, *options])
    return code, *capsys.readouterr()


def found(mesh: Mesh, capsys: pytest.CaptureFixture[str], *options: str) -> MeshOverview:
    code, out, errors = shown(mesh, capsys, "--json", *options)
    assert (code, errors) == (0, "")
    return msgspec.json.decode(out, type=MeshOverview)


def answered(mesh: Mesh, capsys: pytest.CaptureFixture[str], expected: Sequence[bool], *options: str) -> MeshOverview:
    """Return the mesh once these nodes answer and the others do not: a busy machine may answer late."""

    def look() -> MeshOverview:
        overview = found(mesh, capsys, *options)
        assert [node.answered for node in overview.nodes] == list(expected)
        return overview

    return eventually(look)


def test_it_shows_every_node_that_answers_and_every_one_that_does_not(
    mesh: Mesh, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    agents = [mesh.agent(), mesh.agent(), mesh.agent(mesh_answers=False)]
    first = mesh.assert_formed()[0]
    outside = record("fd99:1::/48", OTHER_KEY)
    mesh.write(outside.key, encode_record(outside))
    stranger = replace(record("fd10:99::/48", KEY), name="0.3.0's \x1b[2J")
    mesh.write(stranger.key, encode_record(stranger))
    overview = answered(mesh, capsys, [True, True, False, False])
    assert [node.name for node in overview.nodes] == ["node-1", "node-2", "node-3", stranger.name]
    node = overview.nodes[0]
    assert (node.state, node.version, node.public_key) == ("ready", first.version, first.public_key)
    assert node.allowed_ips == ("fd10:1::/48",)
    assert node.quarantined == 1
    assert overview.missing == 2
    page = tmp_path / "mesh.html"
    code, text, _ = shown(mesh, capsys, "--html", str(page))
    assert code == 0
    assert f"{mesh.name}: 4 nodes, " in text
    assert "\x1b" not in text
    assert "0.3.0's" in page.read_text()
    assert page.stat().st_mode & 0o777 == 0o644, "by the umask: a web server may serve it"
    agents[1].stop()
    answered(mesh, capsys, [True, False, False, False])


def test_an_empty_mesh_and_a_page_that_cannot_be_written(
    mesh: Mesh, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert found(mesh, capsys).nodes == ()
    code, _, errors = shown(mesh, capsys, "--html", str(tmp_path / "missing" / "mesh.html"))
    assert code == 3
    assert "can't be written: No such file or directory" in errors


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_user_for_it_may_do_just_that(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = LAYOUTS[layout]
    config = printed(tmp_path, (*chosen.command, "--asker", "watcher"), NODES)
    with (
        server_for(tmp_path, (*NAMES, "watcher"), monkeypatch, config) as server,
        mesh_for(server, password(ADMIN)) as mesh,
    ):
        for name in NAMES:
            mesh.agent(program=IMPATIENT, **password(name, chosen))
        mesh.assert_formed()
        login = ("--nats-user", "watcher", "--nats-password", "watcher-secret")
        answered(mesh, capsys, [True, True], "--name", "watcher", *login)
        path = tmp_path / "node.json"
        prefix = {"nats_api_prefix": chosen.nats_api_prefix}
        path.write_text(json.dumps({"name": NAMES[0], "private_address": "fd10:1::", **password(NAMES[0]), **prefix}))
        path.chmod(0o600)
        if layout == "one account":
            answered(mesh, capsys, [True, True], "-c", str(path))
        else:
            code, out, errors = shown(mesh, capsys, "-c", str(path), "--json")
            assert (code, out) == (5, "")
            assert "ikto nats --asker" in errors


@contextmanager
def lying(mesh: Mesh, victim_kv_key: str) -> Iterator[None]:
    """Let somebody with every permission answer in the name of a node."""
    ready, stop = threading.Event(), threading.Event()

    async def lie() -> None:
        async with open_session(NatsSettings(servers=(mesh.url,)), Random()) as session:
            asked: asyncio.Queue[Received] = asyncio.Queue()
            await session.subscribe(Subjects(mesh.name).asked, asked.put_nowait)
            ready.set()
            request = read_request((await asked.get()).data)
            forged = await SimulatedNode(2).responder(mesh.name).message(request, victim_kv_key)
            for message in (forged, b'{"answer":%s}' % request.nonce.encode()):
                await session.publish(Subjects(mesh.name).answer(victim_kv_key), message)
            while not stop.is_set():
                await asyncio.sleep(0.01)

    liar = threading.Thread(target=lambda: asyncio.run(lie()), daemon=True)
    liar.start()
    ready.wait(60)
    yield
    stop.set()
    liar.join(60)


@pytest.mark.slow
def test_who_answers_for_another_is_noticed_and_not_believed(
    mesh: Mesh, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PATIENCE_S", 10.0)  # one question only, on a busy machine too
    mesh.agent()
    mesh.agent(mesh_answers=False)
    mesh.assert_formed()
    silent = record("fd10:2::/48").key
    with lying(mesh, silent):
        overview = found(mesh, capsys)
    assert [node.answered for node in overview.nodes] == [True, False]
    assert [node.refused_answers for node in overview.nodes] == [0, 2]


async def test_a_watch_asks_again_after_each_pause_and_never_faster() -> None:
    done: list[float | str] = []

    async def once() -> None:
        done.append("asked")

    async def sleep(seconds: float) -> None:
        done.append(seconds)
        if len(done) == 6:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await repeated(once, 7.0, sleep)
    assert done == ["asked", 7.0, "asked", 7.0, "asked", 7.0]
    done.clear()
    await repeated(once, None, sleep)
    assert done == ["asked"]


def test_a_watch_faster_than_agents_answer_is_refused(mesh: Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, errors = shown(mesh, capsys, "--watch", "--interval", "1")
    assert code == 2
    assert "5.0" in errors
