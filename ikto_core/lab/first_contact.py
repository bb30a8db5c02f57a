"""Joins under traffic, on hosts with real tunnels: how long each pair of nodes waits for its first answer."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from enum import Enum
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ikto_core.admin.views import StatusView
from ikto_core.errors import IktoError
from ikto_core.lab.conversation import Conversation, conversation, first_answer_s
from ikto_core.lab.hosted import IKTO, HostedMesh, HostedNode, converged, hosted_mesh
from ikto_core.lab.network import network
from ikto_core.lab.traffic import INTERVAL_S
from ikto_core.mesh.records import record_key

PATIENCE_S = 120.0
LOOK_EVERY_S = 0.05
"""How long to wait for a condition, and how often to look. A slow machine needs more of both; set them there."""


class Traffic(Enum):
    """Who asks whom, and since when."""

    BOTH = "both ways"
    JOINING = "by the joining nodes"
    OTHERS = "to the joining nodes"
    NONE = "none before the join is over"


class FirstAnswer(NamedTuple):
    """When a pair of nodes had its first answer."""

    source: str
    target: str
    after_s: float | None  # since both records are in the bucket, and the first question was sent; None: it had none


@contextmanager
def mesh_of(nodes: int, *, delay_s: float = 0.0, program: Sequence[str] = IKTO) -> Iterator[HostedMesh]:
    """Make a mesh of nodes with wgtool and known addresses whose agents the caller starts; all is gone afterwards.

    Args:
        nodes: Their number; each has its own host.
        delay_s: How long every packet takes, one way.
        program: The command that runs `ikto`.

    """
    with (
        TemporaryDirectory(prefix="ikto-") as directory,
        network(nodes, delay_s=delay_s) as (hub, hosts),
        hosted_mesh(Path(directory), hub, hosts, ["wgtool"] * nodes, {}, program=program) as mesh,
    ):
        for number, node in enumerate(mesh.nodes, 1):
            node.agent.config["private_address"] = f"fd10:{number}::1"
        yield mesh


def start(nodes: Sequence[HostedNode], beside: Sequence[HostedNode] = ()) -> None:
    """Start agents, and wait until they and those that run `beside` them show each other. Raises IktoError if not."""
    for node in nodes:
        node.agent.start()
    wait_until(lambda: converged([status_of(node) for node in (*nodes, *beside)]), "the mesh did not form")


def join(
    mesh: HostedMesh,
    others: Sequence[HostedNode],
    new: Sequence[HostedNode],
    traffic: Traffic,
    *,
    patience_s: float | None = None,
    interval_s: float = INTERVAL_S,
) -> Sequence[FirstAnswer]:
    """Start the new nodes at once, while the others run, and return the first answers of the new pairs.

    Args:
        mesh: The mesh with all these nodes.
        others: The nodes that run; may be empty.
        new: The nodes that join.
        traffic: Who asks whom.
        patience_s: How long to wait for first answers once every device shows every peer; None: PATIENCE_S.
        interval_s: Time between two questions of a pair.

    """
    nodes, pairs = [*others, *new], _pairs(others, new, traffic)
    with ExitStack() as stack:
        talks = {node: stack.enter_context(conversation(node.host, interval_s=interval_s)) for node in nodes}
        if traffic is not Traffic.NONE:
            _ask(talks, pairs)
        start(new, others)
        if traffic is Traffic.NONE:
            _ask(talks, pairs)
        wait_until(
            lambda: all(talks[source].questions.get(_address(target)) for source, target in pairs),
            patience_s=patience_s,
        )
        for talk in talks.values():
            talk.stop()
        stored = mesh.record_times()
        return [_first_answer(talks[source], source, target, stored) for source, target in pairs]


def wait_until(
    is_true: Callable[[], bool],
    complaint: str = "",
    *,
    patience_s: float | None = None,
    every_s: float | None = None,
) -> bool:
    """Return whether a condition comes true in time. With a `complaint`, raise it as IktoError if not.

    Args:
        is_true: The condition.
        complaint: The error's message; empty: no error.
        patience_s: How long to wait; None: PATIENCE_S.
        every_s: The pause between two looks; None: LOOK_EVERY_S.

    """
    give_up_at = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
    while not (found := is_true()) and time.monotonic() < give_up_at:
        time.sleep(LOOK_EVERY_S if every_s is None else every_s)
    if complaint and not found:
        raise IktoError(complaint)
    return found


def status_of(node: HostedNode) -> StatusView | None:
    """Return the status of a node's agent; None if it does not answer."""
    try:
        return node.agent.admin.status()
    except IktoError:
        return None


def _pairs(
    others: Sequence[HostedNode], new: Sequence[HostedNode], traffic: Traffic
) -> Sequence[tuple[HostedNode, HostedNode]]:
    """Return who asks whom: every pair has a joining node."""
    return [
        (source, target)
        for source, target in permutations([*others, *new], 2)
        if (source in new and traffic is not Traffic.OTHERS)
        or (source in others and target in new and traffic in {Traffic.BOTH, Traffic.OTHERS})
    ]


def _ask(talks: Mapping[HostedNode, Conversation], pairs: Sequence[tuple[HostedNode, HostedNode]]) -> None:
    for source, target in pairs:
        talks[source].ask(_address(target))


def _first_answer(
    talk: Conversation, source: HostedNode, target: HostedNode, stored: Mapping[str, float]
) -> FirstAnswer:
    questions = talk.questions.get(_address(target), ())
    records = [stored[_key(node)] for node in (source, target)]
    asked = [question.sent for question in questions[:1]]
    return FirstAnswer(source.agent.name, target.agent.name, first_answer_s(questions, max(*records, *asked)))


def _address(node: HostedNode) -> str:
    return str(node.agent.config["private_address"])


def _key(node: HostedNode) -> str:
    return record_key(f"{_address(node).removesuffix('::1')}::/48")
