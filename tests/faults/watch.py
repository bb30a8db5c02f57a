"""What must never happen, looked for all the time: a thread that reads every device over and over."""

import time
from collections.abc import Callable
from itertools import combinations
from threading import Event, Thread
from typing import Self

from ikto_core.errors import BackendError
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.values.keys import PublicKey
from tests.faults.harness import Peers, has_device, shown, subnet

DETECTION_S = 45.0
"""Two that use one subnet know it within the longest back-off, a dial and a walk, once nothing is in their way."""

EVERY_S = 0.02


class Watch:
    """Watches the devices of some agents for peers that go without a reason, and for subnets with two users.

    Args:
        agents: Returns whom to watch.

    """

    def __init__(self, agents: Callable[[], list[AgentProcess]]) -> None:
        self.violations: list[str] = []
        self.looks = 0
        self.protected: set[PublicKey] = set()  # these stand in the bucket, and must not be removed
        self.in_trouble = False  # something keeps agents from seeing the bucket
        self._agents = agents
        self._seen: dict[AgentProcess, Peers] = {}
        self._shared_since: dict[tuple[AgentProcess, AgentProcess], float] = {}
        self._calm_since = 0.0
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            self.look(self._agents(), time.monotonic())

    def look(self, agents: list[AgentProcess], now: float) -> None:
        """Look once."""
        self.looks += 1
        if self.in_trouble:
            self._calm_since = now
        for agent in agents:
            self._look_for_removals(agent)
        for pair in combinations(agents, 2):
            self._look_for_shared(pair, now)

    def _look_for_removals(self, agent: AgentProcess) -> None:
        try:
            if not has_device(agent):  # it let go of its address, and ends
                self._seen.pop(agent, None)
                return
            peers = shown(agent)
        except BackendError:  # it went between the two
            return
        gone = self.protected & self._seen.get(agent, {}).keys() - peers.keys()
        if gone:
            self.violations.append(f"{agent.name} removed {sorted(key.text for key in gone)} without a reason")
        self._seen[agent] = peers

    def _look_for_shared(self, pair: tuple[AgentProcess, AgentProcess], now: float) -> None:
        one, other = pair
        if not (one.running and other.running and subnet(one) and subnet(one) == subnet(other)):
            self._shared_since.pop(pair, None)
            return
        since = max(self._shared_since.setdefault(pair, now), self._calm_since)
        if now - since > DETECTION_S:
            self.violations.append(f"{one.name} and {other.name} both use {subnet(one)} after {now - since:.0f} s")
            self._shared_since[pair] = now
