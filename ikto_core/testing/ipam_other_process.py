"""Runs a strategy in another process, where `hash()` of text and bytes differs, as after a restart of the agent."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from inspect import unwrap
from itertools import islice
from pathlib import Path

import pytest

from ikto_core.errors import IktoError
from ikto_core.ipam.contract import IpamPlugin, IpamRequest, IpamStrategy
from ikto_core.values.addressing import Prefix

_PROGRAM = """
import pickle, sys
path, sent = pickle.load(sys.stdin.buffer)
sys.path[:] = path
from ikto_core.testing.ipam_other_process import candidates_of
sys.stdout.buffer.write(pickle.dumps(candidates_of(*pickle.loads(sent))))
"""


def candidates_of(make: Callable[[], IpamStrategy], requests: Sequence[IpamRequest], count: int) -> list[list[Prefix]]:
    """Return the first candidates of each request; an empty list for a request that is refused."""
    return [_first(make(), request, count) for request in requests]


def _first(strategy: IpamStrategy, request: IpamRequest, count: int) -> list[Prefix]:
    try:
        return list(islice(strategy.candidates(request), count))
    except IktoError:
        return []


def candidates_in_new_process(plugin: IpamPlugin, requests: Sequence[IpamRequest], count: int) -> list[list[Prefix]]:
    """Return `candidates_of` from a new process; skip the test with a message if the strategy can't be pickled."""
    try:
        sent = pickle.dumps((unwrap(plugin.make), list(requests), count))  # an installed plugin's `make` is wrapped
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        pytest.skip(f"I7: `make` can't be pickled, so it can't run in another process: {error}")
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    path = [str(Path(entry or ".").resolve()) for entry in sys.path]
    ran = subprocess.run(  # noqa: S603 - this Python with a fixed program
        [sys.executable, "-c", _PROGRAM], input=pickle.dumps((path, sent)), capture_output=True,
        check=False, timeout=60, env={**os.environ, "PYTHONHASHSEED": seed},
    )  # fmt: skip
    if ran.returncode:
        raise AssertionError(f"in another process: {ran.stderr.decode(errors='replace')[-500:]}")
    found: list[list[Prefix]] = pickle.loads(ran.stdout)  # noqa: S301 - written by the program above
    return found
