"""The observer `exec` runs a program for each event, one at a time, and leaves no process behind."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ikto_core.builtin.observers.program import Program, environment, open_exec
from ikto_core.errors import IktoError
from ikto_core.observers.contract import MeshEvent, ObserverContext, PeerAccepted, PeerRemoved, Resync
from tests.builtin.peers import facts

EVENTS: list[MeshEvent] = [Resync(peers=1, quarantined=0), PeerAccepted(peer=facts(2, "node\n\u2028b"))]
DEADLINE_S = 60.0


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def context(argument: str) -> ObserverContext:
    return ObserverContext(
        argument=argument, ifname="wg0", mesh_cidr="fd10::/16", name="node-a", state_dir=Path("/nowhere")
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)


def proc_entry(pid_file: Path) -> Path:
    """Return the /proc entry of the process whose ID is in the file."""
    return Path(f"/proc/{pid_file.read_text()}")


def alive(pid_file: Path) -> bool:
    """Whether the process whose ID is in the file is running."""
    try:
        return (proc_entry(pid_file) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_the_program_reads_each_event_as_json_one_run_after_another(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    code = f"import sys; open({str(path)!r}, 'a').write('begin ' + sys.stdin.read() + 'end ')"
    await Program(python(code)).see(EVENTS)
    first, second = path.read_text().removesuffix("end ").split("end ")
    assert json.loads(first.removeprefix("begin ")) == {"event": "resync", "peers": 1, "quarantined": 0}
    event = json.loads(second.removeprefix("begin "))
    assert (event["event"], event["peer"]["name"]) == ("accepted", "node\n\u2028b")
    assert event["peer"]["addresses"] == ["fd10:0:2::1"]


async def test_a_program_that_does_not_read_and_prints_a_lot_does_not_block() -> None:
    large = PeerRemoved(peer=facts(2, "x" * 10**6))
    await Program(python("print('x' * 10**6); import sys; sys.stderr.write('x' * 10**6)")).see([large])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; print('no'); sys.stderr.write('noise\\nno route\\n\\n'); sys.exit(3)", "with status 3: no route"),
        ("import sys; sys.exit(3)", "with status 3: no message on standard error"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by signal 9 (Killed): no message on standard error"),
        (
            "import os; os.kill(os.getpid(), 40)",
            "was killed by signal 40 (Real-time signal 6): no message on standard error",
        ),
        ("import sys; sys.stderr.write('x' * 10**6); sys.exit(1)", "exited with status 1: " + "x" * 200),
        ("import sys; sys.stderr.buffer.write(b'\\xff'); sys.exit(1)", "exited with status 1: \ufffd"),
    ],
)
async def test_a_failure_has_the_exit_status_and_the_last_line_of_stderr(code: str, message: str) -> None:
    with pytest.raises(IktoError) as caught:
        await Program(python(code)).see(EVENTS)
    assert str(caught.value).startswith(sys.executable)
    assert str(caught.value).endswith(message)


async def test_after_a_failed_run_the_remaining_events_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "runs"
    with pytest.raises(IktoError):
        await Program(python(f"open({str(path)!r}, 'a').write('x'); exit(1)")).see(EVENTS)
    assert path.read_text() == "x"


async def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    script = ["/bin/sh", "-c", f"sleep 1000 & printf $! > {path}; wait"]
    with pytest.raises(IktoError, match=r"/bin/sh did not exit within 0\.5 s"):
        await Program(script, timeout_s=0.5).see(EVENTS)
    await until(lambda: not alive(path))


async def test_children_left_running_are_killed_when_the_program_exits(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    await Program(["/bin/sh", "-c", f"sleep 1000 & printf $! > {path}"]).see(EVENTS)  # does not wait for it
    await until(lambda: not alive(path))


async def test_a_cancelled_run_kills_and_reaps_the_program(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(path)!r}).write_text(str(os.getpid())); time.sleep(1000)"
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(Program(python(code)).see(EVENTS))
        await until(lambda: path.exists() and path.read_text() != "")
        running.cancel()
    assert not proc_entry(path).exists()


@pytest.mark.parametrize("turns", [1, 2])
async def test_a_run_cancelled_while_starting_kills_the_programs_children(tmp_path: Path, turns: int) -> None:
    path = tmp_path / "pid"
    script = ["/bin/sh", "-c", f"sleep 1000 & printf $! > {path}.new; mv {path}.new {path}; wait"]
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(Program(script).see(EVENTS))
        for _ in range(turns):
            await asyncio.sleep(0)
        while not path.exists():  # blocks the event loop on purpose: no other task may run meanwhile
            time.sleep(0.01)  # noqa: ASYNC251
        running.cancel()
    await until(lambda: not alive(path))


async def test_the_program_inherits_only_harmless_environment_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IKTO_NATS_PASSWORD", "secret")
    path = tmp_path / "environ"
    await Program(["/bin/sh", "-c", f"/usr/bin/env > {path}; pwd >> {path}"]).see(EVENTS)
    names = {line.partition("=")[0] for line in path.read_text().splitlines()}
    assert names <= {"HOME", "PATH", "TZ", "LC_ALL", "PWD", "SHLVL", "_", "OLDPWD", "/"}
    assert {"PATH", "/"} <= names
    assert environment({"PATH": "/bin", "AWS_SECRET": "x"}) == {"PATH": "/bin", "LC_ALL": "C.UTF-8"}


async def test_the_argument_is_split_as_a_shell_does_it(tmp_path: Path) -> None:
    path = tmp_path / "a file"
    async with open_exec(context(f"/bin/sh -c 'cat > \"$0\"' '{path}'")) as observer:
        await observer.see(EVENTS[:1])
    assert json.loads(path.read_text())["event"] == "resync"


@pytest.mark.parametrize("argument", ["", "hook", "./hook", "'unclosed"])
async def test_an_argument_without_an_absolute_path_is_rejected(argument: str) -> None:
    with pytest.raises(IktoError, match="the observer exec"):
        async with open_exec(context(argument)):
            pass


async def test_a_missing_or_not_executable_program_is_reported(tmp_path: Path) -> None:
    with pytest.raises(IktoError, match="nowhere can't be run: No such file or directory"):
        await Program([str(tmp_path / "nowhere")]).see(EVENTS)
    (tmp_path / "hook").write_text("#!/bin/sh\n")
    with pytest.raises(IktoError, match="hook can't be run: Permission denied"):
        await Program([str(tmp_path / "hook")]).see(EVENTS)
