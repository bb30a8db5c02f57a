"""An agent is killed at every message of a claim: its address has one owner, and it ends up with no second one."""

from contextlib import ExitStack

import pytest

from ikto_core.admin.views import AgentState
from ikto_core.errors import IktoError
from ikto_core.lab.nats_proxy import Frame, NatsProxy
from ikto_core.lab.nats_server import NatsServer
from tests.agent_mesh import eventually
from tests.faults.conftest import Stopwatch
from tests.faults.harness import FaultMesh, subnet

AT_ONCE = 6
NEVER = 1_000_000


class Victim:
    """An agent that is killed when so many messages have passed between it and NATS; the last one is lost."""

    def __init__(self, mesh: FaultMesh, proxy: NatsProxy, dies_at: int) -> None:
        self.agent = mesh.agent(start=False, nats_url=proxy.url, private_address="auto")
        self.seen = 0
        self._mesh = mesh
        self._dies_at = dies_at
        self._armed = False
        proxy.admit = self._admit

    def start(self, *, armed: bool) -> None:
        self.seen, self._armed = 0, armed
        self.agent.start()

    def is_ready(self) -> bool:
        return self.agent.admin.status().state is AgentState.READY

    def held(self) -> list[str]:
        """Return the subnets of which the bucket has a record of this agent."""
        return [r.allowed_ip for r in self._mesh.records() if r.public_key == self.agent.public_key]

    def is_through(self) -> bool:
        """Whether it is ready, and has withdrawn its earlier record."""
        return self.is_ready() and self.held() == [str(subnet(self.agent))]

    def is_past(self) -> bool:
        """Whether it has died, or has got through before it could."""
        try:
            return not self.agent.running or self.is_through()
        except IktoError:
            return False

    def _admit(self, _: Frame) -> bool:
        self.seen += 1
        if self._armed and self.seen == self._dies_at:
            self.agent.kill()
        return not self._armed or self.seen < self._dies_at


class Killings:
    """Runs one scenario, a few agents at once, with a death at each of its messages."""

    def __init__(self, mesh: FaultMesh, server: NatsServer, converging: Stopwatch, *, moves: bool) -> None:
        self._mesh = mesh
        self._converging = converging
        self._server = server
        self._moves = moves

    def messages(self) -> int:
        """Return how many messages the scenario takes if nobody dies."""
        with ExitStack() as stack:
            (victim,) = self._begin(stack, [NEVER])
            eventually(victim.is_through)
            return victim.seen

    def die_at(self, steps: range) -> None:
        """Let one agent die at each of these messages, and see what becomes of it."""
        with ExitStack() as stack:
            victims = self._begin(stack, steps)
            eventually(lambda: all(victim.is_past() for victim in victims))
            dead = [victim for victim in victims if not victim.agent.running]
            assert len(dead) >= len(victims) - 2, "some may be ready a message or two earlier than the first one was"
            with self._converging.running():
                for victim in dead:
                    victim.start(armed=False)
                self._mesh.assert_whole(*(victim.agent for victim in victims))
            eventually(lambda: all(victim.is_through() for victim in victims))

    def _begin(self, stack: ExitStack, steps: range | list[int]) -> list[Victim]:
        proxies = [stack.enter_context(NatsProxy(self._server.url)) for _ in steps]
        victims = [Victim(self._mesh, proxy, step) for proxy, step in zip(proxies, steps, strict=True)]
        for victim in victims:
            stack.callback(victim.agent.kill)
        if self._moves:
            self._settle(victims)
        for victim in victims:
            victim.start(armed=True)
        return victims

    def _settle(self, victims: list[Victim]) -> None:
        """Let each have an address, and then be configured with another."""
        for victim in victims:
            victim.start(armed=False)
        for victim in victims:
            eventually(victim.is_ready)
            victim.agent.stop()
            victim.agent.config["private_address"] = f"fd10:{0xE000 + self._mesh.agents.index(victim.agent):x}::"


@pytest.mark.fault("an agent is killed at each message of {what}")
@pytest.mark.parametrize("what", ["its first claim", "a move to another address"])
@pytest.mark.timeout(300)
def test_killed_at_every_message(mesh: FaultMesh, server: NatsServer, converging: Stopwatch, what: str) -> None:
    """Started again, it holds one subnet, and the bucket has no other record of it."""
    killings = Killings(mesh, server, converging, moves="move" in what)
    last = killings.messages()
    assert last > 20
    for first in range(1, last + 1, AT_ONCE):
        killings.die_at(range(first, min(first + AT_ONCE, last + 1)))
