"""A backend of others that breaks while the agent runs: its own name is in the last line, and nobody hangs."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from signal import SIGTERM

import pytest

from ikto_core.admin.views import AgentState
from ikto_core.errors import IktoError
from ikto_core.lab.agent_process import AgentProcess
from tests.e2e.conftest import Mesh, eventually
from tests.plugin_site import Site

pytestmark = pytest.mark.e2e

BREAKING = """
import asyncio
from contextlib import asynccontextmanager
from ikto_backends.fake import open_fake
from ikto_core.plugins import DeviceEvent, DeviceEventKind

class Breaking:
    def __init__(self, inner, directory):
        self.inner, self.directory = inner, directory
        self.create, self.delete = inner.create, inner.delete

    def asked(self, how):
        return (self.directory / how).exists()

    async def read(self, ifname):
        if self.asked("read"):
            return {}["ifindex"]
        return await self.inner.read(ifname)

    async def apply(self, ifname, patch):
        if self.asked("apply"):
            raise RuntimeError("no more memory")
        if self.asked("exit"):
            raise SystemExit(0)
        await self.inner.apply(ifname, patch)

    async def events(self):
        while True:
            if self.asked("events"):
                yield DeviceEvent("wg0", DeviceEventKind.CHANGED)
            elif self.asked("end"):
                yield ()["last"]
            else:
                await asyncio.sleep(0.01)

@asynccontextmanager
async def opened(context):
    async with open_fake(context) as inner:
        yield Breaking(inner, context.state_dir.parent)

@hookimpl
def ikto_register_backends():
    yield BackendPlugin(name="breaking", summary="", open=opened, host_devices=False)
"""
WHO = "ikto: backend 'breaking' of acme-ikto 1.5 (entry point 'breaking') failed in"


@pytest.fixture
def agent(site: Site, mesh: Mesh) -> AgentProcess:
    """A ready agent with that backend; it breaks once a file of a method's name is in the agent's directory."""
    site.install("acme-ikto", BREAKING, entry="breaking", group="ikto.backends")
    own = str(Path(__file__).parents[2])
    site.monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site.path), own]))
    agent = mesh.agent(backend="breaking")
    eventually(lambda: agent.admin.status().state is AgentState.READY)
    return agent


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("read", "`read`: KeyError: 'ifindex'"),
        ("apply", "`apply`: RuntimeError: no more memory"),
        ("exit", "`apply`: SystemExit: 0"),
        ("end", "`events`: TypeError: tuple indices must be integers or slices, not str"),
    ],
)
def test_a_bug_of_a_backend_at_run_time_ends_the_agent_with_its_name_and_exit_code_7(
    mesh: Mesh, agent: AgentProcess, how: str, said: str
) -> None:
    (agent.directory / how).touch()
    mesh.agent()  # a peer to write
    if how == "read":
        with suppress(IktoError):  # the agent may end before it answers
            agent.admin.resync()
    assert agent.wait(60) == 7
    last = agent.log_text().splitlines()[-2:]
    assert f"{WHO} {said}" in last[0] + last[1]
    assert "report it to its author" in last[0] + last[1]
    assert "Traceback" not in agent.log_text()


def test_events_without_end_leave_the_agent_able_to_answer_and_to_stop(mesh: Mesh, agent: AgentProcess) -> None:
    (agent.directory / "events").touch()
    mesh.agent()
    eventually(lambda: agent.admin.status().accepted == 1)
    assert agent.admin.status().state is AgentState.READY
    agent.send(SIGTERM)
    assert agent.wait(60) == 0


@pytest.mark.parametrize("write", ["print('noise')", "os.write(1, b'noise')", "os.system('echo noise')"])
def test_json_on_standard_output_is_json_whatever_a_plugin_writes(site: Site, write: str) -> None:
    site.install("acme-ikto", f"import os\n{write}\n@hookimpl\ndef ikto_register_backends(): {write}; return []")
    ran = subprocess.run(
        [sys.executable, "-m", "ikto_core", "plugins", "--json"],
        capture_output=True, text=True, check=True, timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(site.path), str(Path(__file__).parents[2])])},
    )  # fmt: skip
    assert {row["name"] for row in json.loads(ran.stdout)} > {"fake", "wgtool"}
    assert ran.stderr.count("noise") == 2
