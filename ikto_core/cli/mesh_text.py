"""The whole mesh as text: a summary, its nodes, the matrix, and the tunnels in trouble. Pure."""

from collections.abc import Iterator, Sequence

from ikto_core.cli.formatting import size
from ikto_core.cli.tables import Row, Section, line, listing
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.matrix import Cell, Link, Matrix
from ikto_core.fleet.overview import LinkRow, MeshOverview, NodeRow
from ikto_core.values.columns import clipped_to

MOST_NODES = 40
"""A larger mesh is shown without its matrix, and only with the nodes that are in trouble."""

CLOCK_TOLERANCE_S = 2.0
"""A smaller offset may be the way of the answer."""

NAME_SHOWN = 20
"""Columns of a name beside the matrix, and in the list of tunnels."""

_MARKS = {
    Link.ACTIVE: "A",
    Link.IDLE: "i",
    Link.NEVER: ".",
    Link.STALLED: "S",
    Link.DOWN: "x",
    Link.ABSENT: "m",
    Link.UNKNOWN: "?",
}
LEGEND = (
    "A active, i idle, . never, S stalled, x down, m missing on a device, ? unknown,",
    "> one-way: the node of the row receives, < one-way: the node of the column receives",
)
_RECEIVES = {Heard.ACTIVE: 2, Heard.HALF_OPEN: 1}
_HEADER = ("name", "subnet", "state", "version", "revision", "quarantined", "clock", "hears")
_OPTIONAL = (("version",), ("clock",), ("quarantined",))


def sections(found: MeshOverview, matrix: Matrix) -> list[Section]:
    """Return the sections to show."""
    shown = [Section("", list(_summary(found)))]
    if len(found.nodes) <= MOST_NODES:
        rows = [_node(node) for node in found.nodes]
        shown.append(Section(f"Nodes ({len(found.nodes)}):", rows, _HEADER, _OPTIONAL))
        if len(found.nodes) > 1:
            shown.append(Section("Who hears whom:", list(_grid(found.nodes, matrix))))
            shown.append(Section("", [line(text) for text in LEGEND]))
    else:
        troubled = [node for node in found.nodes if in_trouble(node)]
        shown.append(listing("Nodes in trouble", troubled, _node, _HEADER)._replace(optional=_OPTIONAL))
    shown.append(listing("Tunnels in trouble", found.troubled, lambda link: _link(link, found.nodes)))
    return [section for section in shown if section.rows]


def in_trouble(node: NodeRow) -> bool:
    """Return whether a node does not answer, or says what an operator should look at."""
    return (
        not node.answered
        or node.state != "ready"
        or bool(node.lag or node.quarantined or node.pending_removals or node.refused_answers)
        or abs(node.clock_offset_s or 0) > CLOCK_TOLERANCE_S
    )


def _summary(found: MeshOverview) -> Iterator[Row]:
    answered = len(found.nodes) - found.missing
    missing = f", {found.missing} without an answer" if found.missing else ""
    text = f"{found.bucket}: {len(found.nodes)} nodes, {answered} answered{missing}"
    yield line("mesh", text, style="red" if missing else "")
    yield line("revision", str(found.revision))
    counts = ", ".join(f"{count} {link.value.replace('_', '-')}" for link, count in found.links.items())
    yield line("tunnels", counts or "none")
    yield line("answers", f"{size(found.answer_bytes)} in {found.took_s:.1f} s")
    if forged := sum(node.refused_answers for node in found.nodes):
        yield line("refused", f"{forged} messages in the name of a node that it has not signed", style="red")


def _node(node: NodeRow) -> Row:
    subnets = ", ".join(node.allowed_ips)
    if not node.answered:
        return line(node.name, subnets, "no answer", *_refused(node), style="red")
    shown = "none" if node.revision is None else str(node.revision)
    return line(
        node.name,
        subnets,
        node.state or "",
        node.version or "",
        f"{shown} ({node.lag} behind)" if node.lag else shown,
        str(node.quarantined),
        clock(node.clock_offset_s or 0.0),
        ", ".join([*_hears(node), *_refused(node)]),
        style="yellow" if in_trouble(node) else "",
    )


def clock(offset_s: float) -> str:
    """Return a clock's offset; small ones can't be told from the way of the answer."""
    return f"{offset_s:+.1f} s" if abs(offset_s) > CLOCK_TOLERANCE_S else "ok"


def _hears(node: NodeRow) -> Iterator[str]:
    if not node.heard and node.accepted:
        yield "its device can't be read"
    for heard, count in node.heard.items():
        yield f"{count} {heard.replace('_', '-')}"
    if node.left_out:
        yield f"{node.left_out} not told"


def _refused(node: NodeRow) -> Iterator[str]:
    if node.refused_answers:
        yield f"{node.refused_answers} refused"


def _grid(nodes: Sequence[NodeRow], matrix: Matrix) -> Iterator[Row]:
    numbers = range(1, len(nodes) + 1)
    gap = " " if len(nodes) <= MOST_NODES // 2 else ""
    if len(nodes) > 9:
        yield line("", "", gap.join(str(number // 10 or " ") for number in numbers))
    yield line("", "", gap.join(str(number % 10) for number in numbers))
    for row, node in enumerate(nodes):
        marks = gap.join(" " if row == column else mark(matrix.cell(row, column)) for column in range(len(nodes)))
        yield line(str(row + 1), _short(node.name), marks)


def _short(name: str) -> str:
    return clipped_to(name, NAME_SHOWN)


def mark(cell: Cell) -> str:
    """Return a cell in one character, as seen from the first node; LEGEND explains them."""
    if cell.link is not Link.ONE_WAY:
        return _MARKS[cell.link]
    receives, other_receives = (_RECEIVES.get(word, 0) if word else 0 for word in (cell.word, cell.other_word))
    return ">" if receives >= other_receives else "<"


def _link(link: LinkRow, nodes: Sequence[NodeRow]) -> Row:
    said = zip((_short(nodes[number].name) for number in link.nodes), map(_word, link.words), strict=True)
    note = ["asymmetric"] if link.asymmetric else []
    return line(link.link.value.replace("_", "-"), *(part for each in said for part in each), *note)


def _word(word: Heard | None) -> str:
    return word.value.replace("_", "-") if word else "no word"
