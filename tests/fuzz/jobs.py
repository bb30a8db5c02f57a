"""Spreads the batches of a run over processes. One that dies or hangs costs the rest of its job, and is a fault."""

import logging
import mmap
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import structlog

from tests.fuzz.mutator import MAX_INPUT_BYTES
from tests.fuzz.runner import BATCH_INPUTS, Fault, Outcome, inputs_of, run
from tests.fuzz.target import Check, Target

JOB_BATCHES = 40
"""The batches of one process: it ends before it grows, and the processes end at about the same time."""

MEMORY_DIRECTORY = Path("/dev/shm")  # noqa: S108 - only a place for new directories of this process
"""Small files are written ten times as fast there as on a disk."""

MAX_MEMORY_BYTES = 2**32
"""Of each process: an input that needs so much is a MemoryError."""

JOB_TIMEOUT_S = 600.0
"""Of a process that waits for something that never comes. Loops are ended much earlier, by their processor time."""


@dataclass(frozen=True)
class Job:
    """Some batches of a target."""

    target: Target
    seed: int
    batches: range


@dataclass
class Figures:
    """What a run has found about one target."""

    outcome: Outcome = field(default_factory=Outcome)
    processor_s: float = 0.0


@dataclass(frozen=True)
class _Running:
    job: Job
    process: BaseProcess
    results: Connection
    last_input: mmap.mmap  # shared with the process: the size of the input in four bytes, and the input
    ends_at: float


@contextmanager
def quiet() -> Iterator[None]:
    """Log nothing: most inputs are worth a line."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        structlog.reset_defaults()


def jobs_of(targets: Iterable[Target], inputs: int, seed: int) -> list[Job]:
    """Return the jobs of a run of about so many inputs: each target gets its share, and at least one batch."""
    targets = list(targets)
    whole = sum(target.percent for target in targets)
    jobs = []
    for target in targets:
        batches = max(1, round(inputs * target.percent / whole / BATCH_INPUTS))
        jobs += [
            Job(target, seed, range(batches)[start : start + JOB_BATCHES]) for start in range(0, batches, JOB_BATCHES)
        ]
    return jobs


@contextmanager
def opened(target: Target) -> Iterator[Check]:
    """Open a target, in a directory of its own and without a log."""
    place = MEMORY_DIRECTORY if os.access(MEMORY_DIRECTORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=place) as name, quiet(), target.open(Path(name)) as check:
        yield check


def run_job(job: Job, note: Callable[[bytes], object] = len) -> tuple[Outcome, float]:
    """Run a job in this process; return its outcome and the processor time. `note` is called with each input first."""
    outcome, began_s = Outcome(), time.process_time()
    with opened(job.target) as check:

        def noted(data: bytes) -> object:
            note(data)
            return check(data)

        for batch in job.batches:
            outcome.add(run(job.target, noted, inputs_of(job.target, job.seed, batch)))
    return outcome, time.process_time() - began_s


def run_jobs(jobs: Iterable[Job], processes: int) -> dict[str, Figures]:
    """Run jobs, so many at a time; return the figures of each target."""
    figures: dict[str, Figures] = {}
    waiting, running = list(reversed(list(jobs))), list[_Running]()
    while waiting or running:
        while waiting and len(running) < processes:
            running.append(_start(waiting.pop()))
        next_end = min(each.ends_at for each in running)
        ready = wait([each.results for each in running], timeout=max(0.0, next_end - time.monotonic()))
        for each in list(running):
            if each.results in ready or each.ends_at <= time.monotonic():
                running.remove(each)
                outcome, processor_s = _result(each, hangs=each.results not in ready)
                found = figures.setdefault(each.job.target.name, Figures())
                found.outcome.add(outcome)
                found.processor_s += processor_s
    return figures


def _start(job: Job) -> _Running:
    context = multiprocessing.get_context("fork")
    results, sending = context.Pipe(duplex=False)
    last_input = mmap.mmap(-1, 4 + MAX_INPUT_BYTES)
    process = context.Process(target=_run_in_process, args=(job, sending, last_input))
    process.start()
    sending.close()
    return _Running(job, process, results, last_input, time.monotonic() + JOB_TIMEOUT_S)


def _run_in_process(job: Job, results: Connection, last_input: mmap.mmap) -> None:
    def note(data: bytes) -> None:
        last_input[:4] = len(data).to_bytes(4, "big")
        last_input[4 : 4 + len(data)] = data

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    results.send(run_job(job, note))


def _result(running: _Running, *, hangs: bool) -> tuple[Outcome, float]:
    """Return what a process sent; if it sent nothing, its last input is a fault."""
    outcome, processor_s = Outcome(), 0.0
    try:
        if hangs:
            running.process.kill()
            raise EOFError
        outcome, processor_s = running.results.recv()
    except EOFError:
        running.process.join()
        size = int.from_bytes(running.last_input[:4], "big")
        why = "it waited too long" if hangs else f"exit code {running.process.exitcode}"
        outcome.note(Fault(running.last_input[4 : 4 + size], f"the process died: {why}"))
    running.process.join()
    running.results.close()
    running.last_input.close()
    return outcome, processor_s
