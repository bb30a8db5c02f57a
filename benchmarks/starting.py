"""How long commands and agents take to start, and what memory an agent takes.

Processor time is that of the whole process. pip compiles Python files when it installs them; where that was not done
(PYTHONDONTWRITEBYTECODE), each start takes several times as long. The agents have the backend `fake`, whose device in
memory counts too.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from benchmarks.findings import Finding, Target, Unit, at_most
from benchmarks.measures import Bench, Measure
from benchmarks.samples import Pair
from benchmarks.side_by_side import processor_s, side_by_side
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
MIB = 2**20  # the unit in which the figures of 0.3.0 and the targets were measured
FEW, SOME, MANY = 3, 2159, 10_000
"""Numbers of peers."""

PATIENCE_S = 120.0
POLL_EVERY_S = 0.005
SETTLED_S = 2.0
"""How long an agent is left alone before its memory is read."""


class Start(NamedTuple):
    """One start of an agent."""

    answers_s: float  # until its socket answers; on the clock
    answers_cpu_s: float
    complete_s: float  # until its device is complete; on the clock
    complete_cpu_s: float
    memory: float  # RSS at rest, in bytes


async def _commands(bench: Bench) -> Sequence[Finding]:
    """Measure the processor time of commands, beside an empty Python program."""
    found = []
    for arguments, wanted_s in COMMANDS:
        pair = await side_by_side(
            lambda: _processor_time_of(("-m", "ikto_core", *arguments.split())),  # noqa: B023 - called at once
            lambda: _processor_time_of(("-c", "pass")),
            rounds=bench.pick(RUNS, 3),
        )
        found.append(
            pair.finding(
                f"command/{arguments.replace(' ', '-').replace('--', '')}",
                f"`ikto {arguments}`: processor time",
                beside="`python -c pass`",
                statistic=min,
                target=at_most(wanted_s),
            )
        )
    return found


def _agents(bench: Bench) -> Sequence[Finding]:
    """Measure the start and the memory of agents with different numbers of peers."""
    sizes = (FEW, 200) if bench.quick else (FEW, SOME, MANY)
    starts = {count: _starts(count, bench.directory / str(count), bench.pick(AGENT_RUNS, 1)) for count in sizes}
    few, many = min(sizes), max(sizes)
    per_peer = (_least(starts[many]).memory - _least(starts[few]).memory) / (many - few)
    further = Finding(
        name=f"memory-per-peer/{few}-{many}",
        what=f"memory of an agent for each further peer, from {few} to {many:,}",
        unit="B",
        ikto=per_peer,
        target=at_most(2500),
    )
    return [*(found for count in sizes for found in _of_starts(count, starts[count])), further]


def _of_starts(count: int, starts: Sequence[Start]) -> Iterator[Finding]:
    """Return the rows of an agent with so many peers; each once more beside 0.3.0's figure, where there is one."""
    who = f"agent, {count:,} peers"
    answers, complete = f"{who}: start until the socket answers", f"{who}: start until the device is complete"
    rows: Sequence[tuple[str, str, Unit, Sequence[float], Target | None, float | None]] = [
        ("answers", answers, "s", [start.answers_s for start in starts], at_most(0.45), None),
        ("answers-processor", f"{answers}: processor time", "s", [one.answers_cpu_s for one in starts], None, None),
        ("complete", complete, "s", [one.complete_s for one in starts], at_most(0.9) if count == SOME else None, 0.38),
        (
            "complete-processor",
            f"{complete}: processor time",
            "s",
            [one.complete_cpu_s for one in starts],
            at_most(0.6) if count == SOME else None,
            0.05,
        ),
        (
            "memory",
            f"{who}: memory, RSS",
            "B",
            [one.memory for one in starts],
            at_most(38 * MIB) if count == FEW else None,
            {FEW: 13.7 * MIB, SOME: 18.8 * MIB}.get(count),
        ),
    ]
    for name, what, unit, values, target, quoted in rows:
        found = Pair(values).finding(f"start/{name}/{count}", what, unit=unit, statistic=min, target=target)
        beside_0_3_0 = quoted is not None and count in {FEW, SOME} and (name == "memory" or count == SOME)
        yield replace(found, reference=quoted, beside="0.3.0", quoted="2026-11") if beside_0_3_0 else found


async def _processor_time_of(arguments: Sequence[str]) -> float:
    return _once((sys.executable, *arguments))


def _once(command: tuple[str, ...]) -> float:
    silence = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=silence)
    _, _, used = os.wait4(pid, 0)
    return used.ru_utime + used.ru_stime


def _least(starts: Sequence[Start]) -> Start:
    return Start(*map(min, zip(*starts, strict=True)))


def _starts(count: int, directory: Path, runs: int) -> Sequence[Start]:
    with running_server(directory / "nats") as server:
        asyncio.run(_fill(server, count))
        return [_start(directory / str(number), server, count) for number in range(runs)]


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
        answers_s, answers_cpu_s = time.monotonic() - began_s, processor_s(agent.pid)
        _until(lambda: _is_complete(agent, count))
        complete_s, complete_cpu_s = time.monotonic() - began_s, processor_s(agent.pid)
        time.sleep(SETTLED_S)
        return Start(answers_s, answers_cpu_s, complete_s, complete_cpu_s, _memory(agent.pid))


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


def _memory(pid: int) -> float:
    """Return the RSS in bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    found = {line.partition(":")[0]: line.split()[1] for line in lines if line.endswith(" kB")}
    return int(found["Rss"]) * 1024


MEASURES = (
    Measure("commands", "starting", _commands),
    Measure("agents", "starting", _agents),
)
