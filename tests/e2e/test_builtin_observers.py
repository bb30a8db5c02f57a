"""`hosts` and `exec` beside real agents: what the bucket says, the file shows and the program is told."""

import shlex
import stat
import sys
from pathlib import Path

import pytest

from ikto_core.lab.agent_process import AgentProcess
from ikto_core.mesh.records import PeerRecord, encode_record, record_key
from ikto_core.values.keys import PrivateKey
from tests.e2e.conftest import Mesh, eventually

pytestmark = pytest.mark.e2e

OWNERS = b"127.0.0.1 localhost\r\n10.9.9.9 toaster toaster.mesh.example"
HOOK = """
import json, sys
event = json.load(sys.stdin)
peer = event.get("peer", {})
print(event["event"], peer.get("name", ""), *peer.get("addresses", ()), file=open(sys.argv[1], "a"))
if event["event"] == "removed":
    sys.exit("not now")
"""


def write_record(mesh: Mesh, allowed_ip: str, name: str) -> None:
    """Write a record as a node of 0.3.0 does."""
    record = PeerRecord(
        name=name,
        public_key=PrivateKey.generate().public(),
        advertise_address="192.0.2.99",
        allowed_ip=allowed_ip,
        wg_port=1,
    )
    mesh.write(record.key, encode_record(record))


def entries(path: Path) -> dict[str, str]:
    lines = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    return {name: address for address, *names in lines for name in names if address.startswith("fd10")}


def named(label: str, address: str) -> dict[str, str]:
    return {label: address, f"{label}.mesh.example": address}


def leave(mesh: Mesh, agent: AgentProcess) -> None:
    allowed_ip = agent.admin.status().allowed_ip
    agent.stop()
    mesh.write(record_key(allowed_ip or ""), None)


def test_names_of_peers_come_and_go_and_the_rest_of_the_file_stays(mesh: Mesh, tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(OWNERS)
    path.chmod(0o640)
    first = mesh.agent(name="node-a", observers=[f"hosts={path} short .mesh.example"], removal_limit=100)
    second = mesh.agent(name="node-b.example.net", private_address="fd10:b::7")
    third = mesh.agent(name="Node-C", private_address="auto")
    mesh.assert_formed()
    wanted = named("node-b", "fd10:b::7") | named("node-c", third.admin.status().private_address or "")
    eventually(lambda: entries(path) == wanted)

    first.stop()
    assert entries(path) == wanted, "names stay, as the device does"
    for allowed_ip, name in (("fd10:d::9/48", "node-d"), ("fd10:e::/48", "toaster"), ("fd10:f::/48", "x\n::1 bank")):
        write_record(mesh, allowed_ip, name)
    first.start()
    eventually(lambda: entries(path) == wanted | named("node-d", "fd10:d::9"))
    eventually(lambda: "already in the rest of the file" in first.log_text())

    leave(mesh, second)
    leave(mesh, third)
    mesh.write(record_key("fd10:d::9/48"), None)
    eventually(lambda: path.read_bytes() == OWNERS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_program_that_fails_is_told_everything_again_until_it_does_not(mesh: Mesh, tmp_path: Path) -> None:
    hook, told = tmp_path / "a hook.py", tmp_path / "told"
    hook.write_text(HOOK)
    told.touch()
    command = shlex.join([sys.executable, str(hook), str(told)])
    first = mesh.agent(observers=[f"exec={command}"], removal_limit=100)
    second = mesh.agent(name="node-b", private_address="fd10:b::7")
    mesh.assert_formed()
    eventually(lambda: "accepted node-b fd10:b::7\n" in told.read_text())
    leave(mesh, second)
    eventually(lambda: "exited with status 1: not now" in first.log_text())
    eventually(lambda: told.read_text().split()[-2:] == ["resync", "ready"])
    assert "removed node-b fd10:b::7\n" in told.read_text()
    mesh.assert_formed(first)
