"""One question to a thousand nodes: how many answers, bytes and seconds it takes.

The nodes are the agents' own responders on a real nats-server, each with a thousand peers to tell of, over ten
connections in processes of their own.
"""

import asyncio
import multiprocessing
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from random import Random

from benchmarks.findings import Finding, Unit
from benchmarks.measures import Bench, Measure
from benchmarks.samples import p99
from ikto_core.cli.mesh_page import page
from ikto_core.fleet.asking import Answers, Asker
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.overview import KnownNode, overview
from ikto_core.lab.nats_server import running_server
from ikto_core.lab.simulated_nodes import SimulatedNode, answering, roster
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings
from ikto_core.values.keys import PublicKey

CONNECTIONS = 10
BUCKET = "asked"
PATIENCE_S = 120.0


def _measure(bench: Bench) -> Sequence[Finding]:
    """Ask all nodes when all are there, and when one in twenty is missing."""
    count = bench.pick(1000, 100)
    nodes, missing = [SimulatedNode(number, count) for number in range(1, count + 1)], count // 20
    with running_server(bench.directory) as server:
        with _answering(server.url, nodes):
            whole = asyncio.run(_ask(server.url, nodes))
        with _answering(server.url, nodes[:-missing]):
            partly = asyncio.run(_ask(server.url, nodes))
    return [
        *_findings(f"answers/all/{count}", f"{count} nodes answer", nodes, *whole),
        *_findings(f"answers/missing/{count}", f"{missing} of {count} are missing", nodes, *partly),
    ]


async def _ask(url: str, nodes: Sequence[SimulatedNode]) -> tuple[Answers, float]:
    """Return the answers, and the seconds of processor time that the asker took."""
    async with open_session(NatsSettings(servers=(url,)), Random()) as session:
        asker, began_s = Asker(session, BUCKET), _processor_s()
        answers = await asker.ask(roster(nodes))
        return answers, _processor_s() - began_s


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _findings(
    name: str, what: str, nodes: Sequence[SimulatedNode], answers: Answers, processor_s: float
) -> Iterator[Finding]:
    known = [
        KnownNode(public_key=node.key, name=f"node-{node.number}", allowed_ips=(node.allowed_ip,), kv_keys=frozenset())
        for node in nodes
    ]
    began_s = time.monotonic()
    text = page(*overview(known, answers, bucket=BUCKET, revision=7, asked_at=time.time()))
    drawn_s = time.monotonic() - began_s
    offsets = sorted(abs(answered.clock_offset_s) for answered in answers.by_node.values())
    measured: Sequence[tuple[str, str, Unit, float]] = [
        ("answers", "answers", "count", len(answers.by_node)),
        ("bytes", "size of all answers", "B", answers.size),
        ("time", "until the last answer", "s", answers.took_s),
        ("processor", "processor time of the asker", "s", processor_s),
        ("clock", "clock offset seen where there is none, p99", "s", p99(offsets)),
        ("page", "time to draw the matrix and the page", "s", drawn_s),
        ("page-bytes", "size of the page", "B", len(text)),
    ]
    for part, said, unit, value in measured:
        yield Finding(name=f"{name}/{part}", what=f"{what}: {said}", unit=unit, ikto=value)


@contextmanager
def _answering(url: str, nodes: Sequence[SimulatedNode]) -> Iterator[None]:
    """Let nodes answer in processes of their own, CONNECTIONS in all."""
    context = multiprocessing.get_context("fork")
    stop, started = context.Event(), []
    for number in range(CONNECTIONS):
        ready = context.Event()
        process = context.Process(
            target=_answer,
            args=(url, nodes[number::CONNECTIONS], [node.key for node in nodes], ready, stop),
            daemon=True,
        )
        process.start()
        started.append((process, ready))
    try:
        for _, ready in started:
            if not ready.wait(PATIENCE_S):
                raise TimeoutError("the nodes did not start")
        yield
    finally:
        stop.set()
        for process, _ in started:
            _end(process)


def _end(process: BaseProcess) -> None:
    process.join(PATIENCE_S)
    process.kill()
    process.join()


def _answer(url: str, nodes: Sequence[SimulatedNode], keys: Sequence[PublicKey], ready: Event, stop: Event) -> None:
    for node in nodes:
        node.heard = {key: Heard.ACTIVE for key in keys if key != node.key}

    async def answer() -> None:
        async with (
            open_session(NatsSettings(servers=(url,)), Random()) as session,
            answering(session, BUCKET, nodes),
            asyncio.timeout(PATIENCE_S),
        ):
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.05)

    asyncio.run(answer())


MEASURES = (Measure("answers", "answers", _measure),)
