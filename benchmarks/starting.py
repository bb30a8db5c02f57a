"""`python -m benchmarks.starting`: how long commands and agents take to start, and what memory an agent takes.

Processor time is compared, not time on the clock, which depends on what else runs. Each figure is the least of several.
The last line of the output is the findings as JSON.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from benchmarks.report import Finding
from ikto_core.admin.views import AgentState
from ikto_core.errors import IktoError
from ikto_core.lab.agent_process import AgentProcess, stopped_at_exit
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings
from ikto_core.values.keys import PublicKey

COMMANDS = (("--help", 0.12), ("status", 0.15), ("agent --help", 0.2))
"""What is run, and the seconds that it should take at most."""

RUNS = 7
AGENT_RUNS = 3
FEW, SOME, MANY = 3, 2159, 10_000
"""Numbers of peers."""

PATIENCE_S = 120.0
POLL_EVERY_S = 0.005
SETTLED_S = 2.0
"""How long an agent is left alone before its memory is read."""

NOTE = """\
- starting: processor time of the whole process. pip compiles Python files when it installs them; where that was not
  done (PYTHONDONTWRITEBYTECODE), each start takes several times as long. Memory: RSS and, in brackets, PSS, which
  counts what processes share only in part. The agents have the backend `fake`, whose device in memory counts too."""


class Start(NamedTuple):
    """One start of an agent."""

    answers_s: float  # until its socket answers; on the clock
    answers_cpu_s: float
    complete_s: float  # until its device is complete; on the clock
    complete_cpu_s: float
    rss_kib: int  # at rest
    pss_kib: int


def main() -> None:
    """Measure, and print the findings."""
    findings = measure()
    for found in findings:
        sys.stdout.write(f"{found.what}: {found.ikto} (wanted: {found.target or 'no figure'})\n")
    sys.stdout.write(msgspec.json.encode(findings).decode() + "\n")


def measure(peers: Sequence[int] = (FEW, SOME, MANY)) -> list[Finding]:
    """Measure all commands, and agents with these numbers of peers, in ascending order."""
    python_s = _cpu_s((sys.executable, "-c", "pass"))
    found = [_command(arguments, wanted_s, python_s) for arguments, wanted_s in COMMANDS]
    starts = [(count, _least(count)) for count in peers]
    return found + [each for count, start in starts for each in _of_start(count, start)] + list(_per_peer(starts))


def _command(arguments: str, wanted_s: float, python_s: float) -> Finding:
    took_s = _cpu_s((sys.executable, "-m", "ikto_core", *arguments.split()))
    return Finding(
        what=f"`ikto {arguments}`, processor time",
        ikto=f"{took_s:.3f} s",
        reference=f"`python -c pass`: {python_s:.3f} s",
        ratio=took_s / python_s,
        target=f"≤ {wanted_s} s",
    )


def _of_start(count: int, start: Start) -> Iterator[Finding]:
    def finding(what: str, ikto: str, target: str = "") -> Finding:
        return Finding(what=f"agent, {count:,} peers: {what}", ikto=ikto, reference="", ratio=None, target=target)

    if count == FEW:
        yield finding("start until the socket answers", _both(start.answers_s, start.answers_cpu_s), "≤ 0.45 s")
    target = "≤ 0.9 s, 0.6 s" if count == SOME else ""
    yield finding("start until the device is complete", _both(start.complete_s, start.complete_cpu_s), target)
    memory = f"{start.rss_kib / 1024:.1f} MiB ({start.pss_kib / 1024:.1f})"
    yield finding("memory", memory, "≤ 38 MiB" if count == FEW else "")


def _per_peer(starts: Sequence[tuple[int, Start]]) -> Iterator[Finding]:
    (few, least), (many, most) = starts[0], starts[-1]
    if many > few:
        kb = (most.rss_kib - least.rss_kib) * 1.024 / (many - few)
        yield Finding(
            what=f"agent: memory of a further peer, from {few:,} to {many:,}",
            ikto=f"{kb:.2f} kB",
            reference="",
            ratio=None,
            target="≤ 2.5 kB",
        )


def _both(seconds: float, cpu_s: float) -> str:
    return f"{seconds:.2f} s, {cpu_s:.2f} s of the processor"


def _cpu_s(command: tuple[str, ...]) -> float:
    """Return the least processor time of several runs of a command, whatever it exits with."""
    return min(_once(command) for _ in range(RUNS))


def _once(command: tuple[str, ...]) -> float:
    silence = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=silence)
    _, _, used = os.wait4(pid, 0)
    return used.ru_utime + used.ru_stime


def _least(count: int) -> Start:
    """Return the least of each figure of several starts."""
    with tempfile.TemporaryDirectory(prefix="ikto-") as directory, running_server(Path(directory, "nats")) as server:
        asyncio.run(_fill(server, count))
        starts = [_start(Path(directory, str(number)), server, count) for number in range(AGENT_RUNS)]
    return Start(*(min(figures) for figures in zip(*starts, strict=True)))


async def _fill(server: NatsServer, count: int) -> None:
    async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
        await create_bucket(Bucket(session, "started"), MeshSettings("fd10::/16", 48), replicas=1, memory=False)
        for number in range(1, count + 1):
            record = _record(number)
            await session.client.publish(f"$KV.started.{record.key}", encode_record(record))
        await session.client.flush()


def _record(number: int) -> PeerRecord:
    """Return a record with the members that an agent without a proof writes."""
    return PeerRecord(
        name=f"node-{number}",
        public_key=PublicKey(number.to_bytes(32, "big")),
        advertise_address="192.0.2.1",
        allowed_ip=f"fd10:{number:x}::/48",
        wg_port=51820,
        instance=f"{number:032x}",
        nonce=f"{number:016x}",
        agent="ikto 0.4.0",
        address=f"fd10:{number:x}::1",
    )


def _start(directory: Path, server: NatsServer, count: int) -> Start:
    config = {"private_address": "auto", "nats_url": server.url, "nats_kv": "started", "backend": "fake"}
    agent = AgentProcess(directory, config | {"mesh_cidr": "fd10::/16"})
    with _started(agent) as began_s:
        _until(lambda: agent.admin.progress() is not None)
        answers_s, answers_cpu_s = time.monotonic() - began_s, _processor_s(agent.pid)
        _until(lambda: _is_complete(agent, count))
        complete_s, complete_cpu_s = time.monotonic() - began_s, _processor_s(agent.pid)
        time.sleep(SETTLED_S)
        return Start(answers_s, answers_cpu_s, complete_s, complete_cpu_s, *_memory_kib(agent.pid))


@contextmanager
def _started(agent: AgentProcess) -> Iterator[float]:
    with stopped_at_exit([agent]):
        began_s = time.monotonic()
        agent.start()
        yield began_s


def _is_complete(agent: AgentProcess, count: int) -> bool:
    progress = agent.admin.progress()
    return progress.state is AgentState.READY and progress.accepted >= count


def _until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            if condition():
                return
        except IktoError:
            if time.monotonic() > give_up_at:
                raise
        time.sleep(POLL_EVERY_S)


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_kib(pid: int) -> tuple[int, int]:
    """Return RSS and PSS, in KiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    found = {line.partition(":")[0]: line.split()[1] for line in lines if line.endswith(" kB")}
    return int(found["Rss"]), int(found["Pss"])


if __name__ == "__main__":
    main()
