"""As root the demo's tunnels are real: every ping is shown, this machine is not touched, and nothing is left behind."""

import os
import re
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals

import pytest

from ikto_core.demo.capabilities import obstacle, probe_machine
from ikto_core.lab.network import Host, remove_namespace, run
from tests.e2e.conftest import eventually
from tests.e2e.demo import Demo, running_demo

OBSTACLE = obstacle(probe_machine(), "wgtool")

pytestmark = [
    pytest.mark.tunnels,
    pytest.mark.skipif(bool(OBSTACLE), reason=f"no real tunnels here: {OBSTACLE}"),
]

NODES = ("node-1", "node-2", "node-3")


def matrix(demo: Demo, title: str) -> dict[tuple[str, str], str]:
    """Return the cells of a table of pairs."""
    table = demo.said.partition(title)[2].partition("└")[0]
    rows = [re.split(r"\s*│\s*", line.strip("│ \n")) for line in table.splitlines() if line.startswith("│ node-")]
    return {(source, target): cell for source, *cells in rows for target, cell in zip(NODES, cells, strict=False)}


def test_every_pair_pings_over_the_mesh_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--backend wgtool") as demo:
        assert demo.ends() == 0, demo.said
    assert "Real tunnels" in demo.said
    assert "3 nodes converged" in demo.said
    for title, most in (("First answers", 60), ("Round trips", 10_000)):
        cells = matrix(demo, title)
        assert len(cells) == 9
        assert all(0 < float(cells[pair]) < most for pair in permutations(NODES, 2))
    assert demo.left_behind() == []


def test_a_pair_without_an_answer_has_not_converged(tmp_path: Path) -> None:
    """On the third host packets into the mesh go nowhere, neither its own nor its answers."""
    with running_demo(tmp_path, "--backend wgtool --timeout 20") as demo:
        host = f"ikto-demo-{demo.process.pid}-3"
        blackhole = ("route", "add", "blackhole", "fd10::/16", "metric", "1")
        eventually(lambda: host in demo.namespaces() and [run("ip", "-n", host, "-6", *blackhole)])
        assert demo.ends() == 1
    assert "the mesh did not converge in time (node-1: ready, node-2: ready, node-3: ready; no answer: " in demo.said
    silent = demo.said.partition("no answer: ")[2].strip(")\n ").split(", ")
    assert silent == [f"{one} to {other}" for one, other in permutations(NODES, 2) if "node-3" in {one, other}]
    assert "3 nodes converged" not in demo.said
    assert demo.left_behind() == []


def test_lost_pings_are_shown_and_fail(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ping").write_text("#!/bin/sh\nexit 1\n")
    (programs / "ping").chmod(0o755)
    (files := tmp_path / "files").mkdir()
    environ = {"PATH": f"{programs}:{os.environ['PATH']}"}
    with running_demo(files, "--backend wgtool --nodes 2", environ=environ) as demo:
        assert demo.ends() == 1
    assert list(matrix(demo, "Round trips").values()).count("lost") == 2
    assert "lost pings: node-1 to node-2, node-2 to node-1" in demo.said
    assert demo.left_behind() == []


def has_namespaces(demo: Demo) -> bool:
    return len(demo.namespaces()) > 1  # the first is the probe's


def has_a_device(demo: Demo) -> bool:
    return any("wireguard-go" in command for command in demo.processes())


@pytest.mark.parametrize("number", [SIGINT, SIGTERM, SIGHUP])
@pytest.mark.parametrize("moment", [has_namespaces, has_a_device])
def test_a_demo_that_is_stopped_leaves_nothing_behind(
    moment: Callable[[Demo], bool], number: Signals, tmp_path: Path
) -> None:
    """The terminal sends its signals to the whole process group."""
    with running_demo(tmp_path, "--backend wgtool --nodes 5") as demo:
        eventually(lambda: moment(demo))
        (os.kill if number == SIGTERM else os.killpg)(demo.process.pid, number)
        assert demo.ends() == 130, demo.said
    assert "Traceback" not in demo.said
    assert demo.left_behind() == []


@pytest.fixture
def machine() -> Iterator[Host]:
    """A machine on which nobody else changes anything."""
    machine = Host(f"ikto{os.getpid()}-machine", "127.0.0.1")
    run("ip", "netns", "add", machine.namespace)
    try:
        machine.run("ip", "link", "set", "lo", "up")
        yield machine
    finally:
        remove_namespace(machine.namespace)


def test_a_demo_leaves_the_machine_unchanged(machine: Host, tmp_path: Path) -> None:
    def network_of_machine() -> list[str]:
        questions = ("link", "address", "-4 route show table all", "-6 route show table all", "rule")
        return [machine.run("ip", "-oneline", *question.split()) for question in questions]

    before = network_of_machine()
    with running_demo(tmp_path, "--backend wgtool --keep", within=machine.exec_prefix) as demo:
        demo.commands()
        assert network_of_machine() == before
        demo.process.send_signal(SIGTERM)
        assert demo.ends() == 0
    assert network_of_machine() == before
    assert demo.left_behind() == []


def test_a_kept_demo_runs_until_it_is_stopped(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--backend wgtool --keep") as demo:
        commands = demo.commands()
        assert [" ".join(command.split()[4:6]) for command in commands[2:]] == ["ping -c", "wg show"]
        demo.try_all(commands)
        demo.process.send_signal(SIGINT)
        assert demo.ends() == 0
    assert demo.left_behind() == []


def test_the_next_demo_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--backend wgtool --keep") as killed:
        killed.commands()
        killed.process.kill()
        killed.ends()
    left = killed.namespaces()
    assert len(left) == 4
    with running_demo(tmp_path, "--backend fake") as demo:
        assert demo.ends() == 0
    assert all(name in demo.said for name in left)
    assert killed.left_behind() == []
