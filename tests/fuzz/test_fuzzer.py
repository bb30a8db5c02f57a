"""The fuzzer makes the same inputs for the same seed, and finds each kind of fault that is planted."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import pytest

from tests.fuzz import __main__ as command
from tests.fuzz import jobs, runner
from tests.fuzz.json_edits import edited_json
from tests.fuzz.mutator import MAX_INPUT_BYTES
from tests.fuzz.runner import BATCH_INPUTS, inputs_of, run
from tests.fuzz.target import RefusedError, Target, without_preparation
from tests.fuzz.targets import TARGETS

MANY = 10**9
CARELESS = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What the planted code raises, beside its documented errors."""

forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # pytest-xdist has threads


def planted(check: Callable[[bytes], object]) -> Target:
    """Return a target with the corpus of records."""
    return Target("record", 1, (UnicodeError,), without_preparation(check))


def read_carelessly(data: bytes) -> int:
    """Read a record as code does whose author thought of JSON that is wrong, and not of members that are."""
    try:
        record = msgspec.json.decode(data.partition(b"\n")[2])
    except msgspec.DecodeError:
        raise RefusedError from None
    return int(record["wg_port"]) + len(record.get("endpoints", ()))


def test_the_same_seed_makes_the_same_inputs_and_another_one_others() -> None:
    for target in TARGETS[:4]:
        made = list(inputs_of(target, 1, 0))
        assert made == list(inputs_of(target, 1, 0))
        assert len(made) == BATCH_INPUTS
        assert max(map(len, made)) <= MAX_INPUT_BYTES
        assert len({*made, *inputs_of(target, 2, 0), *inputs_of(target, 1, 1)}) > 2 * BATCH_INPUTS


def test_an_edited_document_is_json_and_another_one() -> None:
    document = {"name": "a", "list": [1, {"b": None}], "flag": True}
    line = msgspec.json.encode(document)
    edits = [edited_json(line, Random(seed)) for seed in range(300)]
    parsed = 0
    for edit in filter(None, edits):
        try:
            msgspec.json.decode(edit)
        except (ValueError, RecursionError):  # lone surrogates, numbers beyond 64 bits, and a depth that is a test too
            continue
        parsed += 1
    assert parsed > 200
    assert len({*edits}) > 200


def test_errors_that_are_not_documented_are_found_once_each() -> None:
    outcome = run(planted(read_carelessly), read_carelessly, inputs_of(planted(read_carelessly), 1, 0))
    kinds = {fault.reason.partition(" ")[0] for fault in outcome.faults.values()}
    assert kinds >= {"KeyError", "TypeError"}
    assert outcome.faulty > len(outcome.faults)
    assert outcome.inputs == BATCH_INPUTS
    for fault in outcome.faults.values():
        with pytest.raises(CARELESS):
            read_carelessly(fault.data)


def test_documented_errors_are_no_faults() -> None:
    outcome = run(planted(bytes.decode), bytes.decode, [b"a", b"\xff"])
    assert (outcome.accepted, outcome.refused, outcome.faults) == (1, 1, {})


def test_an_input_without_end_is_found_also_if_all_errors_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_without_end(data: bytes) -> None:
        try:
            for _ in range(MANY if data == b"long" else 1):
                pass
        except Exception:  # noqa: BLE001 - as careless code does
            return

    monkeypatch.setattr(runner, "MAX_INPUT_S", 0.05)
    outcome = run(planted(read_without_end), read_without_end, [b"short", b"long", b"short"])
    assert [fault.data for fault in outcome.faults.values()] == [b"long"]
    assert outcome.accepted == 2


def test_an_input_that_needs_much_memory_is_found() -> None:
    def keep(data: bytes) -> None:
        if data == b"large":
            assert b"x" * (runner._peak_bytes() + runner.MAX_GROWTH_BYTES)

    outcome = run(planted(keep), keep, [b"small", b"large", b"small"])
    (fault,) = outcome.faults.values()
    assert (fault.data, fault.reason.partition(":")[0]) == (b"large", "growth")


@forks
def test_a_process_that_dies_is_a_fault_with_its_last_input() -> None:
    def die(data: bytes) -> None:
        if b"&" in data:
            os.kill(os.getpid(), signal.SIGKILL)

    target = planted(die)
    figures = jobs.run_jobs([jobs.Job(target, seed, range(1)) for seed in (1, 2)], processes=2)
    outcome = figures["record"].outcome
    (fault,) = outcome.faults.values()
    assert (outcome.faulty, outcome.inputs) == (2, 2)
    assert fault.reason == "the process died: exit code -9"
    assert b"&" in fault.data


@forks
def test_a_process_that_waits_is_ended_and_a_fault_with_its_last_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "JOB_TIMEOUT_S", 0.5)
    target = planted(lambda _: time.sleep(600))
    figures = jobs.run_jobs([jobs.Job(target, 1, range(1))], processes=1)
    (fault,) = figures["record"].outcome.faults.values()
    assert fault.reason == "the process died: it waited too long"
    assert fault.data in (b"", next(iter(inputs_of(target, 1, 0))))  # the machine may be too busy to begin in time


@forks
def test_the_command_reports_a_fault_and_saves_its_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "TARGETS", (planted(read_carelessly),))
    monkeypatch.setattr(command, "FAULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["fuzz", "--inputs=1000", "--seed=7", "--processes=2"])
    assert command.main() == 1
    printed = capsys.readouterr().out
    assert "FAULT in record, seed 7: KeyError" in printed
    assert "1000 inputs, seed 7" in printed
    saved = list(tmp_path.iterdir())
    assert len(saved) > 1
    assert all(str(path) in printed for path in saved)
    for path in saved:
        with pytest.raises(CARELESS):
            read_carelessly(path.read_bytes())


@forks
def test_the_command_is_content_with_code_that_survives(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz", "--inputs=1500", "--processes=2", "--targets", "header", "api"])
    assert command.main() == 0
    assert "1500 inputs, seed 1, 0 kinds of faults" in capsys.readouterr().out


def test_a_run_gives_each_target_its_share() -> None:
    inputs = {target.name: 0 for target in TARGETS}
    for job in jobs.jobs_of(TARGETS, 1_000_000, 1):
        inputs[job.target.name] += len(job.batches) * BATCH_INPUTS
    assert inputs == {target.name: target.percent * 10_000 for target in TARGETS}
    assert len(jobs.jobs_of(TARGETS, 1, 1)) == len(TARGETS)
