"""Which nodes are behind a revision of the bucket, in words."""

from ikto_core.cli.mesh_revision import behind
from ikto_core.fleet.overview import NodeRow


def row(name: str, revision: int | None, *, answered: bool = True) -> NodeRow:
    return NodeRow(name=name, public_key=name, allowed_ips=(), answered=answered, revision=revision)


def test_nobody_is_behind_where_all_show_it_or_a_later_one() -> None:
    assert not behind((row("a", 7), row("b", 8)), 7)
    assert not behind((), 7)


def test_those_behind_are_named_with_what_they_show() -> None:
    nodes = (row("a", 7), row("b", 6), row("c", None), row("d", None, answered=False))
    assert behind(nodes, 7) == (
        "1 of 4 nodes show revision 7: 'b' shows 6, 'c' shows none, 'd' does not answer"
    )  # fmt: skip


def test_only_the_first_ones_are_named() -> None:
    said = behind(tuple(row(f"n{number}", 1) for number in range(8)), 2)
    assert said.startswith("0 of 8 nodes show revision 2: 'n0' shows 1, ")
    assert said.endswith("'n4' shows 1, and 3 more")


def test_an_endless_name_is_cut() -> None:
    assert len(behind((row("x" * 10_000, 1),), 2)) < 200
