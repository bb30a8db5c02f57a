"""What happens in a mesh is a line of the log and of `ikto events`, with the peer's name, and never a flood."""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.lab.agent_process import AgentProcess
from ikto_core.mesh.records import encode_record
from ikto_core.store.bucket import Bucket
from ikto_core.values.keys import PublicKey
from tests.admin.node import peer_record
from tests.e2e.conftest import IMPATIENT, Mesh, eventually
from tests.forked import run_ikto

pytestmark = pytest.mark.e2e


def seen(agent: AgentProcess) -> list[str]:
    return [line.split("  ")[1] for line in run_ikto("events", "-s", str(agent.socket)).stdout.splitlines()]


def said(agent: AgentProcess, *words: str) -> bool:
    return any(all(word in line for word in words) for line in agent.log_text().splitlines())


def test_the_life_of_a_peer_is_told(mesh: Mesh) -> None:
    agent = mesh.agent(removal_limit=100)
    eventually(lambda: said(agent, "ready", "subnet=fd10:1::/48", "ifname=wg0"))
    record = peer_record(2, name="the-peer")
    mesh.write(record.key, encode_record(record))
    eventually(lambda: said(agent, "[info", "peer joined", "name=the-peer", "subnets=fd10:2::/48"))
    mesh.write(record.key, encode_record(peer_record(2, name="other-name")))
    eventually(lambda: said(agent, "peer has another name", "name=other-name", "before=the-peer"))
    mesh.write(record.key, encode_record(peer_record(3, name="other-name", allowed_ip="fd10:2::/48")))
    eventually(lambda: said(agent, "peer changed its key", "name=other-name"))
    mesh.write(record.key, b"{")
    eventually(lambda: said(agent, "record quarantined", "record=fd10:2::/48", "hint="))
    mesh.write(record.key, None)
    eventually(lambda: "record no longer quarantined" in seen(agent))
    order = ["ready", "peer joined", "peer has another name", "peer changed its key", "peer left"]
    assert [each for each in seen(agent) if each in order] == order


def test_the_start_is_one_line(mesh: Mesh) -> None:
    agent = mesh.agent()
    eventually(
        lambda: said(agent, "agent started", "mesh=fd10::/16", "subnet=fd10:1::/48", "ifname=wg0", "backend=fake")
    )
    assert said(agent, "agent started", f"nats={mesh.url.removeprefix('nats://')}", "peers=0")


def test_a_thousand_peers_at_once_are_a_handful_of_lines(mesh: Mesh) -> None:
    records = [
        replace(
            peer_record(2, name=f"peer-{n}", allowed_ip=f"fd10:{n + 2:x}::/48"), public_key=PublicKey(n.to_bytes(32))
        )
        for n in range(1, 1001)
    ]

    async def write_all(bucket: Bucket) -> None:
        for record in records:
            await bucket.put(record.key, encode_record(record), expected=0)

    mesh.on_bucket(write_all)
    agent = mesh.agent()
    eventually(lambda: said(agent, "mesh known", "peers=1000"))
    assert not said(agent, "peer joined")
    assert "peer joined" not in seen(agent)


def test_a_cause_that_goes_on_is_one_line_a_second_at_most(lonely_mesh: Mesh) -> None:
    """The agent's clients try NATS again many times a second; the lines that are left out are counted."""
    began_at = time.monotonic()
    agent = lonely_mesh.agent(program=IMPATIENT)
    lonely_mesh.assert_formed()
    lonely_mesh.server.kill()
    eventually(lambda: said(agent, "[warning", "repeated="))
    lines = [line[len("YYYY-MM-DD HH:MM:SS ") :] for line in agent.log_text().splitlines()]
    took_s = time.monotonic() - began_at
    causes = Counter(re.sub(r" (repeated|next_try_in_s)=\S+", "", line) for line in lines if "[warning" in line)
    assert max(causes.values()) <= took_s + 1


@pytest.mark.slow
def test_a_program_follows_over_a_rotation_and_learns_the_end(mesh: Mesh, tmp_path: Path) -> None:
    agent = mesh.agent(program=IMPATIENT)
    mesh.assert_formed()
    out, errors = tmp_path / "out", tmp_path / "errors"
    command = [sys.executable, "-m", "ikto_core", "events", "--follow", "--state", "--json", "-s", str(agent.socket)]
    with out.open("w") as stdout, errors.open("w") as stderr:
        follower = subprocess.Popen(command, stdout=stdout, stderr=stderr)
    try:
        eventually(lambda: out.read_text().count("\n") >= 2)
        before = agent.admin.status().public_key
        run_ikto("key", "rotate", "-s", str(agent.socket)).check_returncode()
        eventually(lambda: agent.admin.status().public_key != before)
        other = mesh.agent()
        eventually(lambda: other.name in out.read_text())
        agent.stop()
        assert follower.wait(60) == 1
    finally:
        follower.kill()
        follower.wait()
    events = [json.loads(line)["event"] for line in out.read_text().splitlines()]
    assert events[:2] == ["resync", "ready"]
    assert "accepted" in events
    assert "no agent answers" in errors.read_text()
