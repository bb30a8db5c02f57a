"""`python -m benchmarks.mesh_answers`: one question to a thousand nodes; how many answers, bytes and seconds it takes.

The nodes are the agents' own responders on a real nats-server, each with a thousand peers to tell of, over ten
connections in processes of their own. The last line of the output is the findings as JSON.
"""

import asyncio
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from random import Random

import msgspec

from benchmarks.report import Finding
from ikto_core.cli.formatting import size
from ikto_core.cli.mesh_page import page
from ikto_core.fleet.asking import Answers, Asker
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.overview import KnownNode, overview
from ikto_core.lab.nats_server import running_server
from ikto_core.lab.simulated_nodes import SimulatedNode, answering, roster
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings
from ikto_core.values.keys import PublicKey

NODES = 1000
CONNECTIONS = 10
MISSING = 50
BUCKET = "asked"
PATIENCE_S = 120.0

NOTE = f"""\
- {NODES} nodes answer: simulated ones with the agents' own responder and {NODES - 1} peers each, over {CONNECTIONS}
  connections. They wait for a jitter of up to 2 s; with nodes missing the asker waits for its limit of 5 s."""


def main() -> None:
    """Measure, and print the findings."""
    findings = measure()
    for found in findings:
        sys.stdout.write(f"{found.what}: {found.ikto}\n")
    sys.stdout.write(msgspec.json.encode(findings).decode() + "\n")


def measure() -> list[Finding]:
    """Ask all nodes when all are there, and when some are missing."""
    nodes = [SimulatedNode(number, NODES) for number in range(1, NODES + 1)]
    with tempfile.TemporaryDirectory(prefix="ikto-bench-") as directory, running_server(Path(directory)) as server:
        with _answering(server.url, nodes):
            whole = asyncio.run(_ask(server.url, nodes))
        with _answering(server.url, nodes[:-MISSING]):
            partly = asyncio.run(_ask(server.url, nodes))
    return [
        *_findings(f"{NODES} nodes answer", nodes, *whole),
        *_findings(f"{MISSING} of them are missing", nodes, *partly),
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


def _findings(what: str, nodes: Sequence[SimulatedNode], answers: Answers, processor_s: float) -> Iterator[Finding]:
    known = [
        KnownNode(public_key=node.key, name=f"node-{node.number}", allowed_ips=(node.allowed_ip,), kv_keys=frozenset())
        for node in nodes
    ]
    began_s = time.monotonic()
    text = page(*overview(known, answers, bucket=BUCKET, revision=7, asked_at=time.time()))
    drawn_s = time.monotonic() - began_s
    offsets = sorted(abs(answered.clock_offset_s) for answered in answers.by_node.values())
    measured = {
        "answers": f"{len(answers.by_node)}, {size(answers.size)}, in {answers.took_s:.1f} s",
        "processor time of the asker": f"{processor_s:.1f} s",
        "clock offset seen where there is none, 99 % below": f"{offsets[len(offsets) * 99 // 100] * 1000:.0f} ms",
        "matrix and page": f"{size(len(text))} in {drawn_s:.1f} s",
    }
    for name, value in measured.items():
        yield Finding(what=f"{what}: {name}", ikto=value, reference="", ratio=None, target="")


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


if __name__ == "__main__":
    main()
