"""Runs each measure in a process of its own: one that fails or hangs does not touch the others."""

import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from math import inf
from pathlib import Path

import msgspec

from benchmarks.findings import Finding
from benchmarks.machines import ROOT
from benchmarks.measures import Bench, Measure, SkippedError, all_measures, findings

END_TIMEOUT_S = 20.0


class Outcome(msgspec.Struct, frozen=True):
    """What became of a measure: findings, or why there are none."""

    findings: Sequence[Finding] = ()
    skipped: str = ""  # it can't run on this machine, or took too long
    failed: str = ""  # it ended in an error


def run(measure: Measure, *, quick: bool, left_s: float = inf) -> Outcome:
    """Run a measure where it belongs, in a process of its own. What it prints to standard error goes to ours.

    It is skipped if it takes longer than its limit, or than `left_s`: a slow machine is no error.
    """
    limit_s = min(measure.timeout_s, left_s)
    if limit_s <= 0:
        return Outcome(skipped="the time of the run is over")
    command = [
        *measure.prefix,
        sys.executable,
        "-m",
        "benchmarks.runner",
        measure.name,
        *(["--quick"] if quick else []),
    ]
    try:
        status, printed = _printed(command, limit_s)
    except subprocess.TimeoutExpired:
        return Outcome(skipped=f"not done after {limit_s:.0f} s")
    except OSError as error:
        return Outcome(skipped=f"{command[0]} can't be run: {error.strerror}")
    return outcome(printed, status, elsewhere=bool(measure.prefix))


def outcome(printed: bytes, status: int, *, elsewhere: bool) -> Outcome:
    """Return the outcome that is the last line of a measure's output.

    A measure prints one also when it fails. Without one its process was killed, or, if it was to run elsewhere, that
    place can't be had on this machine.
    """
    last = (printed.splitlines() or [b""])[-1]
    try:
        return msgspec.json.decode(last, type=Outcome)
    except msgspec.MsgspecError:
        why = f"exit code {status}: {last.decode(errors='replace') or 'it printed nothing'}"
        return Outcome(skipped=f"there is no place for it: {why}") if elsewhere else Outcome(failed=why)


def _printed(command: Sequence[str], timeout_s: float) -> tuple[int, bytes]:
    """Return a command's exit code and standard output. Raises subprocess.TimeoutExpired after it has ended it."""
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PATH": path}, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        printed, _ = process.communicate(timeout=timeout_s)
    except BaseException:  # also Ctrl-C, which reaches only us
        process.terminate()  # lets it stop its servers
        try:
            process.communicate(timeout=END_TIMEOUT_S)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)  # with its children, as it has a session of its own
                process.wait()
        raise
    return process.returncode, printed


def run_here(name: str, *, quick: bool) -> Outcome:
    """Run a measure in this process."""
    measure = next(one for one in all_measures() if one.name == name)
    with tempfile.TemporaryDirectory(prefix="ikto-bench-") as directory:
        try:
            return Outcome(findings=findings(measure, Bench(quick=quick, directory=Path(directory))))
        except SkippedError as error:
            return Outcome(skipped=str(error))
        except Exception as error:  # noqa: BLE001 - the run goes on without this measure
            traceback.print_exc()
            return Outcome(failed=f"{type(error).__name__}: {error}")


def main() -> None:
    """Run the measure that the arguments name, and print its outcome as one line of JSON."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before it was done"))
    found = run_here(sys.argv[1], quick="--quick" in sys.argv)
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    main()
