"""Everything at once, at random: `make chaos SEED=7 SECONDS=600`. The seed and the plan are printed."""

import os
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random, SystemRandom

import pytest

from ikto_core.lab.nats_server import NatsServer
from tests.faults.chaos import Chaos
from tests.faults.conftest import Stopwatch
from tests.faults.harness import FaultMesh
from tests.faults.logins import ADMIN, users
from tests.faults.plan import plan

SEED = int(os.environ.get("CHAOS_SEED") or SystemRandom().randrange(10_000))
SECONDS = float(os.environ.get("CHAOS_SECONDS") or 60)
AGENTS = 5
QUIET_S = 150
"""What the mesh may take to be whole after a round: two back-offs of 30 s, one of the link and one of the claim, checks
of the leader and of the device, and a machine that has other things to do."""


@pytest.mark.fault("many faults at once, at random")
@pytest.mark.timeout(SECONDS + 2 * QUIET_S)
def test_chaos(directory: Path, stack: ExitStack, converging: Stopwatch) -> None:
    """No subnet has two users, no error removes a peer, and once it is quiet every device equals the bucket."""
    print(f"chaos: SEED={SEED} SECONDS={SECONDS:g}")  # noqa: T201 - shown if it fails
    random = Random(SEED)
    server = NatsServer(directory / "nats", users())
    stack.callback(server.kill)
    mesh = FaultMesh(server.start(), directory, stack)
    mesh.login = ADMIN
    mesh.create_bucket()
    chaos = Chaos(mesh, server, directory, stack, random)
    for _ in range(AGENTS):
        chaos.add()
    mesh.assert_whole()
    ends = time.monotonic() + SECONDS
    slowest = 0.0
    with chaos.watch as watch:
        while time.monotonic() < ends:
            steps = plan(random)
            print("round:", *steps, sep="\n  ")  # noqa: T201
            chaos.carry_out(steps)
            with converging.running():
                mesh.assert_whole(timeout_s=QUIET_S)
            slowest = max(slowest, converging.seconds or 0)
            print(f"  whole after {converging.seconds:.1f} s, {len(mesh.running())} agents")  # noqa: T201
            assert watch.violations == []
            chaos.bury()
            while len(mesh.agents) < AGENTS:
                chaos.add()
            mesh.assert_whole(timeout_s=QUIET_S)
    converging.seconds = slowest
    assert watch.looks > SECONDS
