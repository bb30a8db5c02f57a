"""Nodes join under traffic on the kernel's WireGuard, and no packet waits for its second try.

The machine is emulated, so times are printed and not checked: the kernel's own log shows second tries.
"""

import sys
from collections.abc import Iterator

import pytest

from ikto_core.lab.first_contact import Traffic, join, mesh_of, start
from ikto_core.lab.hosted import HostedMesh
from tests.kernel.wireguard_log import SECOND_TRY, wireguard_log
from tests.netns.test_first_contact import kicks, without

pytestmark = [pytest.mark.usefixtures("patient_lab"), pytest.mark.timeout(1800)]

BACKENDS = ("netlink", "wgtool", "netlink")
QUESTIONS_EVERY_S = 0.5


@pytest.fixture
def three() -> Iterator[HostedMesh]:
    """Three nodes. Only the first one is started. The third one neither listens nor kicks, as Ikto 0.3.0."""
    with mesh_of(len(BACKENDS)) as mesh:
        for node, backend in zip(mesh.nodes, BACKENDS, strict=True):
            node.agent.config["backend"] = backend
        old = mesh.nodes[-1]
        old.agent._command = (*old.host.exec_prefix, *without("listen,kick"))
        start(mesh.nodes[:1])
        yield mesh


def test_a_node_that_joins_under_traffic_both_ways_needs_no_second_try(
    three: HostedMesh, capsys: pytest.CaptureFixture[str]
) -> None:
    running, joining = three.nodes[:1], three.nodes[1:]
    for node in joining:
        before = kicks(running)
        with wireguard_log() as log:
            answers = join(three, running, [node], Traffic.BOTH, interval_s=QUESTIONS_EVERY_S)
            second_tries = log.lines(SECOND_TRY)
        with capsys.disabled():
            sys.stdout.write(f"\n{kicks(running) - before} kicks by {len(running)} nodes, {answers}")
        assert all(answer.after_s is not None for answer in answers)
        assert not second_tries
        running = [*running, node]
