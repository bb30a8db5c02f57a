"""Running the demo's mesh: a nats-server and agents as processes, all ended when the block ends."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from ikto_core.admin.views import StatusView
from ikto_core.demo.leftovers import prefix, remove_sockets
from ikto_core.errors import IktoError
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.lab.hosted import HostedMesh, hosted_mesh
from ikto_core.lab.network import THIS_MACHINE, Host, network, run

END_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")


@contextmanager
def running_mesh(nodes: int, backend: str) -> Iterator[HostedMesh]:
    """Run a nats-server and `nodes` agents for the length of a block, each on its own host except for `fake`."""
    fake = backend == "fake"
    config = {"advertise_address": THIS_MACHINE.address} if fake else {}
    with (
        ExitStack() as cleanup,
        TemporaryDirectory(prefix=f"{prefix()}-") as name,
        _this_machine(nodes) if fake else network(nodes, prefix()) as (hub, hosts),
        hosted_mesh(Path(name), hub, hosts, [backend] * nodes, config, exec_prefix=_end_with_parent()) as mesh,
    ):
        cleanup.callback(remove_sockets, os.getpid())
        for node in mesh.nodes:
            node.agent.start()
        yield mesh


def read_statuses(mesh: HostedMesh) -> list[StatusView | None]:
    """Return every agent's status; None for one that does not answer yet. Raises IktoError if one has ended."""
    agents = [node.agent for node in mesh.nodes]
    for agent in agents:
        if not agent.running:
            raise IktoError(f"{agent.name} ended with exit code {agent.wait()}: {agent.log_text()[-500:]}")
    return [_status(agent) for agent in agents]


def _status(agent: AgentProcess) -> StatusView | None:
    try:
        return agent.admin.status()
    except IktoError:  # it is still starting
        return None


def _this_machine(nodes: int) -> AbstractContextManager[tuple[Host, Sequence[Host]]]:
    return nullcontext((THIS_MACHINE, [THIS_MACHINE] * nodes))


def _end_with_parent() -> Sequence[str]:
    """Return a command prefix that ends a program when this process ends; empty if setpriv is not available."""
    try:
        run(*END_WITH_PARENT, "true")
    except IktoError:
        return ()
    return END_WITH_PARENT
