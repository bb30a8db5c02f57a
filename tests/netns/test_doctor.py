"""`ikto doctor` and `ikto diff` on hosts with real devices: they see what is wrong there, and change nothing."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import eventually
from tests.netns.mesh import USERSPACE, Mesh, Node, mesh

pytestmark = USERSPACE
ROOT = Path(__file__).parents[2]


@pytest.fixture
def pair() -> Iterator[Mesh]:
    with mesh(["wgtool"] * 2) as made:
        made.start(*made.nodes)
        yield made


def ikto(node: Node, *arguments: str) -> tuple[int, Any]:
    """Run a command on the node's host; return its exit code and its JSON."""
    agent = node.agent
    command = [sys.executable, "-m", "ikto_core", *arguments, "-c", agent.directory / "config.json", "-s", agent.socket]
    ran = subprocess.run(
        [*node.host.exec_prefix, *map(str, command), "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return ran.returncode, json.loads(ran.stdout)


def findings(node: Node, level: str) -> dict[str, str]:
    """What doctor found at one level, by the name of the check."""
    _, document = ikto(node, "doctor")
    return {found["check"]: found["text"] for found in document["findings"] if found["level"] == level}


def test_a_healthy_pair_has_no_error_and_nothing_to_do(pair: Mesh) -> None:
    one, other = pair.nodes
    eventually(partial(one.host.reaches, other.address))
    assert findings(one, "error") == {}
    assert ikto(one, "diff")[0] == 0
    assert ikto(one, "diff", "--no-agent")[1]["changes"] == []


def test_a_peer_that_is_cut_off_never_answered(pair: Mesh) -> None:
    one, other = pair.nodes
    address = other.address
    other.agent.stop()
    other.host.run(*shlex.split("nft add table inet cut"))
    other.host.run(*shlex.split("nft add chain inet cut in { type filter hook input priority 0 ; }"))
    other.host.run(*shlex.split("nft add rule inet cut in udp dport 1-65535 drop"))
    one.host.run("ip", "link", "delete", one.ifname)  # so that no session is left
    eventually(lambda: one.agent.admin.status().device)
    one.look_again()
    one.host.run("sh", "-c", f"ping -c 1 -W 1 {address} || true")
    found = eventually(lambda: findings(one, "warning").get("reachable")) or ""
    assert f"{other.agent.name} never answered at " in found


def test_a_route_that_leads_elsewhere_is_an_error_and_so_is_a_lost_device(pair: Mesh) -> None:
    one, other = pair.nodes
    one.host.run("ip", "-6", "route", "add", f"{other.address}/128", "dev", "eth0")
    assert (
        findings(one, "error")["routes"] == f"packets to {other.address}/128, inside the mesh fd10::/16, leave by eth0"
    )
    one.agent.stop()
    one.host.run("ip", "link", "delete", one.ifname)
    code, view = ikto(one, "diff", "--no-agent")
    assert code == 20
    assert [change["action"] for change in view["changes"]] == ["create-device", "set-device", "add-peer"]
    assert one.ifname not in one.host.run("ip", "-o", "link", "show")
    one.agent.start()
    pair.wait()
