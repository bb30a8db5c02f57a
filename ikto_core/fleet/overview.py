"""The mesh as `ikto mesh` shows it: each node, the troubled tunnels, and how many there are of each kind. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec

from ikto_core.fleet.answer import NodeAnswer
from ikto_core.fleet.asking import Answers
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.matrix import TROUBLED, Cell, Link, Matrix
from ikto_core.values.keys import PublicKey
from ikto_core.values.times import utc

MOST_LINKS = 5000
"""So many tunnels are listed; the counts are of all of them."""


class KnownNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node as the bucket has it."""

    public_key: PublicKey
    name: str  # untrusted text
    allowed_ips: tuple[str, ...]
    kv_keys: frozenset[str]


class NodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One node: what the bucket says of it, and what it says of itself."""

    name: str  # untrusted text
    public_key: str
    allowed_ips: tuple[str, ...]
    answered: bool
    version: str | None = None  # untrusted text; null, as all below: no answer
    state: str | None = None
    revision: int | None = None  # the bucket's revision that its device shows
    lag: int | None = None  # how many revisions that is behind the bucket
    accepted: int | None = None  # peers
    quarantined: int | None = None  # records
    pending_removals: int | None = None
    clock_offset_s: float | None = None  # how far its clock is ahead of this host's
    heard: dict[str, int] = {}  # how many peers it says what of
    left_out: int = 0  # peers of which it says nothing
    refused_answers: int = 0  # messages in its name that it has not signed, or that can't be read


class LinkRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tunnel between two nodes."""

    nodes: tuple[int, int]  # their places in the list of nodes
    link: Link
    words: tuple[Heard | None, Heard | None]  # what each says of the other; null: no word
    asymmetric: bool


class MeshOverview(msgspec.Struct, frozen=True, kw_only=True):
    """The whole mesh."""

    bucket: str
    revision: int  # the bucket's when it was read
    asked_at: datetime
    took_s: float  # from the question to the last answer, or to the end of the wait
    answer_bytes: int
    nodes: tuple[NodeRow, ...]  # by ascending subnet
    missing: int  # nodes without an answer
    links: dict[Link, int]  # how many tunnels there are of each kind
    troubled: tuple[LinkRow, ...]  # the tunnels that are stalled, one-way, down or absent; the worst first
    troubled_left_out: int = 0


def overview(
    nodes: Sequence[KnownNode], answers: Answers, *, bucket: str, revision: int, asked_at: float
) -> tuple[MeshOverview, Matrix]:
    """Return the mesh and its matrix; `nodes` in the order of the rows, `asked_at` in seconds since the epoch."""
    said = {key: answered.answer for key, answered in answers.by_node.items()}
    matrix = Matrix([node.public_key for node in nodes], said)
    counts: Counter[Link] = Counter()
    troubled: list[tuple[int, int, Cell]] = []
    for first, second, cell in matrix.cells():
        counts[cell.link] += 1
        if cell.link in TROUBLED:
            troubled.append((first, second, cell))
    order = {link: position for position, link in enumerate(Link)}
    troubled.sort(key=lambda found: (order[found[2].link], found[:2]))
    shown = MeshOverview(
        bucket=bucket,
        revision=revision,
        asked_at=utc(asked_at),
        took_s=round(answers.took_s, 3),
        answer_bytes=answers.size,
        nodes=tuple(_row(node, answers, revision) for node in nodes),
        missing=len(answers.missing),
        links={link: counts[link] for link in Link if counts[link]},
        troubled=tuple(_link(*found) for found in troubled[:MOST_LINKS]),
        troubled_left_out=max(0, len(troubled) - MOST_LINKS),
    )
    return shown, matrix


def _link(first: int, second: int, cell: Cell) -> LinkRow:
    words = (cell.word, cell.other_word)
    return LinkRow(nodes=(first, second), link=cell.link, words=words, asymmetric=cell.asymmetric)


def _row(node: KnownNode, answers: Answers, revision: int) -> NodeRow:
    row = NodeRow(
        name=node.name,
        public_key=node.public_key.text,
        allowed_ips=node.allowed_ips,
        answered=False,
        refused_answers=answers.forged.get(node.public_key, 0),
    )
    answered = answers.by_node.get(node.public_key)
    if answered is None:
        return row
    answer = answered.answer
    return msgspec.structs.replace(
        row,
        answered=True,
        version=answer.version,
        state=answer.state,
        revision=answer.revision,
        lag=None if answer.revision is None else max(0, revision - answer.revision),
        accepted=answer.accepted,
        quarantined=answer.quarantined,
        pending_removals=answer.pending_removals,
        clock_offset_s=round(answered.clock_offset_s, 3),
        heard=_heard(answer),
        left_out=answer.left_out,
    )


def _heard(answer: NodeAnswer) -> dict[str, int]:
    counts = Counter(heard.value for _, heard in answer.heard.states()) if answer.heard else Counter[str]()
    return {heard.value: counts[heard.value] for heard in Heard if counts[heard.value]}
