"""An orchestrator that runs an agent inside its own process."""

from collections.abc import Iterable
from typing import assert_type

from ikto_core.embedding import Config, RunningAgent, config_of, running_agent
from ikto_core.plugins import IpamPlugin, IpamRequest, MeshEvent, MeshReady, PeerFacts, Prefix, PrivateKey, Space


class MyStrategy:
    def candidates(self, request: IpamRequest) -> Iterable[Prefix]:
        space = Space.of(request)
        assert_type(space.free, int)
        return [space.subnet(space.nth_free(0))]


async def orchestrate() -> None:
    config = config_of(private_address="auto", backend="fake")
    assert_type(config, Config)
    ipam = IpamPlugin(name="mine", summary="the lowest free subnet", make=MyStrategy)
    async with running_agent(config, private_key=PrivateKey.generate(), ipam=ipam) as agent:
        assert_type(agent, RunningAgent)
        assert_type(await agent.claimed(), Prefix)
        assert_type(await agent.ready(), MeshReady)
        assert_type(await agent.shown(timeout_s=3), tuple[PeerFacts, ...])
        async for event in agent.events():
            assert_type(event, MeshEvent)
