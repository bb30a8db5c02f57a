"""Meshes of any size as `ikto mesh` finds them, without a server."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from msgspec.structs import replace

from ikto_core.fleet.answer import NodeAnswer, heard_peers
from ikto_core.fleet.asking import Answered, Answers
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.matrix import Matrix
from ikto_core.fleet.overview import KnownNode, MeshOverview, overview
from ikto_core.values.keys import PublicKey

ASKED_AT = 1_700_000_000.0
Says = Callable[[int, int], Heard | None]


def known(count: int, names: Sequence[str] = ()) -> list[KnownNode]:
    """Return so many nodes; the first ones have these names."""
    random = Random(count)
    return [
        KnownNode(
            public_key=PublicKey(random.randbytes(32)),
            name=names[number] if number < len(names) else f"node-{number + 1}",
            allowed_ips=(f"fd10:{number + 1:x}::/48",),
            kv_keys=frozenset({f"peers.{number}"}),
        )
        for number in range(count)
    ]


def answer_of(nodes: Sequence[KnownNode], number: int, says: Says, **members: Any) -> NodeAnswer:
    """Return what a node answers; `says`: what each node, by number, says of each other."""
    told = {
        node.public_key: word
        for other, node in enumerate(nodes)
        if other != number and (word := says(number, other)) is not None
    }
    heard, left_out = heard_peers(told)
    answer = NodeAnswer(
        nonce="a" * 32,
        public_key=nodes[number].public_key.text,
        version="0.4.0",
        state="ready",
        revision=9,
        bucket_revision=9,
        accepted=len(nodes) - 1,
        heard=heard,
        left_out=left_out,
        time_s=ASKED_AT,
    )
    return replace(answer, **members)


def mesh_of(
    nodes: Sequence[KnownNode],
    says: Says = lambda *_: Heard.ACTIVE,
    *,
    silent: Sequence[int] = (),
    forged: Sequence[int] = (),
    **members: Any,
) -> tuple[MeshOverview, Matrix]:
    """Return a mesh in which the `silent` nodes do not answer; `members`: of all answers."""
    by_node = {
        node.public_key: Answered(answer_of(nodes, number, says, **members), ASKED_AT)
        for number, node in enumerate(nodes)
        if number not in silent
    }
    answers = Answers(
        asked=frozenset(node.public_key for node in nodes),
        by_node=by_node,
        forged={nodes[number].public_key: 3 for number in forged},
        size=1234,
        took_s=0.5,
    )
    return overview(nodes, answers, bucket="ikto-mesh", revision=9, asked_at=ASKED_AT)
