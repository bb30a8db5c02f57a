"""Runs a strategy in another process, where `hash()` of text and bytes differs, as after a restart of the agent."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from inspect import unwrap
from itertools import islice
from pathlib import Path

import pytest

from ikto_core.errors import IktoError
from ikto_core.ipam.contract import IpamPlugin, IpamRequest, IpamStrategy
from ikto_core.testing.ipam_work_limit import line_limit
from ikto_core.values.addressing import Prefix

LIMIT_S = 120.0
MANY_LINES = 1_000_000

_PROGRAM = """
import pickle, sys
path, memory, elsewhere, sent = pickle.load(sys.stdin.buffer)
sys.path[:] = path
if memory:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
from ikto_core.testing.ipam_other_process import candidates_of
make, requests, count = pickle.loads(sent)
if elsewhere:
    from ikto_core.testing.elsewhere import move
    move(make)
found = candidates_of(make, requests, count)
sys.stdout.buffer.write(b"\\n" + pickle.dumps(found).hex().encode())
"""


def candidates_of(
    make: Callable[[], IpamStrategy], requests: Sequence[IpamRequest], count: int, lines: int = MANY_LINES
) -> list[list[Prefix]]:
    """Return the first candidates of each request; an empty list for a request that is refused.

    Raises TooMuchWorkError if one of them takes more than so many lines of Python.
    """
    return [_first(make(), request, count, lines) for request in requests]


def _first(strategy: IpamStrategy, request: IpamRequest, count: int, lines: int) -> list[Prefix]:
    found: list[Prefix] = []
    with line_limit(lines, type(strategy).__module__.partition(".")[0]), suppress(IktoError):
        found.extend(islice(strategy.candidates(request), count))
    return found


def is_picklable(plugin: IpamPlugin) -> bool:
    """Whether the strategy can be made in another process."""
    try:
        pickle.dumps(unwrap(plugin.make))
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


def candidates_in_new_process(
    plugin: IpamPlugin,
    requests: Sequence[IpamRequest],
    count: int,
    *,
    hash_seed: str = "1",
    memory: int = 0,
    elsewhere: bool = False,
) -> list[list[Prefix]]:
    """Return `candidates_of` from a new process; skip the test with a message if the strategy can't be pickled.

    With `elsewhere` it is on another host and at another time, as far as the strategy can see.
    Raises AssertionError if it fails there, takes longer than LIMIT_S, or more than `memory` bytes (0: no limit).
    """
    try:
        sent = pickle.dumps((unwrap(plugin.make), list(requests), count))  # an installed plugin's `make` is wrapped
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        pytest.skip(f"I7: `make` can't be pickled, so it can't run in another process: {error}")
    path = [str(Path(entry or ".").resolve()) for entry in sys.path]
    try:
        ran = subprocess.run(  # noqa: S603 - this Python with a fixed program
            [sys.executable, "-c", _PROGRAM], input=pickle.dumps((path, memory, elsewhere, sent)), capture_output=True,
            check=False, timeout=LIMIT_S, env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise AssertionError(f"not finished in another process after {LIMIT_S:g} s") from None
    if ran.returncode:
        said = ran.stderr.decode(errors="replace").strip().splitlines()
        raise AssertionError(f"in another process: {said[-1][:300] if said else f'exit status {ran.returncode}'}")
    found: list[list[Prefix]] = pickle.loads(bytes.fromhex(ran.stdout.split()[-1].decode()))  # noqa: S301 - written above
    return found
