"""`ikto mesh` as text: small meshes as a matrix, large ones as their troubles; foreign text is escaped and cut."""

import pytest

from ikto_core.cli.mesh_text import MOST_NODES, mark, sections
from ikto_core.cli.tables import Section, show
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.matrix import Cell, Link, link_of
from tests.fleet.meshes import ASKED_AT, Says, known, mesh_of


def text_of(shown: list[Section], capsys: pytest.CaptureFixture[str]) -> str:
    show(shown)
    return capsys.readouterr().out


def one_way(first: int, second: int) -> Heard:
    return Heard.UNANSWERED if (first, second) == (0, 1) else Heard.ACTIVE


def test_a_small_mesh_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    found, matrix = mesh_of(known(4), one_way, silent=[3])
    text = text_of(sections(found, matrix), capsys)
    assert "mesh      ikto-mesh: 4 nodes, 3 answered, 1 without an answer" in text
    assert "tunnels   1 one-way, 5 active" in text
    assert "answers   1.2 KiB in 0.5 s" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["node-4", "fd10:4::/48", "no", "answer"] in rows
    assert ["node-1", "fd10:1::/48", "ready", "0.4.0", "9", "0", "ok", "1", "unanswered,", "2", "active"] in rows
    assert ["1", "node-1", "<", "A", "A"] in rows
    assert ["2", "node-2", ">", "A", "A"] in rows
    listed = ["one-way", "node-1", "unanswered", "node-2", "active", "asymmetric"]
    assert listed in rows


def test_what_an_operator_should_look_at_is_in_the_row(capsys: pytest.CaptureFixture[str]) -> None:
    found, matrix = mesh_of(known(2), forged=[1], revision=4, quarantined=2, time_s=ASKED_AT - 90)
    text = text_of(sections(found, matrix), capsys)
    assert "4 (5 behind)" in text
    assert "-90.0 s" in text
    assert "3 refused" in text
    assert "3 messages in the name of a node that it has not signed" in text


def test_a_large_mesh_is_shown_by_its_troubles_only(capsys: pytest.CaptureFixture[str]) -> None:
    found, matrix = mesh_of(known(MOST_NODES + 1), one_way, silent=[7, 8])
    text = text_of(sections(found, matrix), capsys)
    assert "41 nodes, 39 answered, 2 without an answer" in text
    assert "Nodes in trouble (2):" in text
    assert "Tunnels in trouble (1):" in text
    assert "Who hears whom" not in text
    assert len(text.splitlines()) < 25


@pytest.mark.parametrize("count", [1, 2, 10, 21, MOST_NODES])
def test_the_matrix_has_a_column_for_each_node(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    found, matrix = mesh_of(known(count))
    text = text_of(sections(found, matrix), capsys)
    assert ("Who hears whom" in text) == (count > 1)
    if count > 1:
        last = next(line for line in text.splitlines() if line.startswith(f"  {count} "))
        assert last.count("A") == count - 1


def test_names_cannot_draw_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    found, matrix = mesh_of(known(3, ["\x1b[2J\n" + "x" * 9000, "\u202e[red]"]), one_way)
    text = text_of(sections(found, matrix), capsys)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert max(map(len, text.splitlines())) < 600


def test_a_device_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    silent: Says = lambda *_: None  # noqa: E731
    found, matrix = mesh_of(known(2), silent)
    assert "its device can't be read" in text_of(sections(found, matrix), capsys)


@pytest.mark.parametrize(
    ("word", "other", "shown"),
    [
        (Heard.ACTIVE, Heard.UNANSWERED, ">"),
        (Heard.UNANSWERED, Heard.ACTIVE, "<"),
        (Heard.HALF_OPEN, Heard.ACTIVE, "<"),
        (None, Heard.HALF_OPEN, "<"),
        (Heard.STALLED, Heard.ACTIVE, "S"),
        (None, None, "?"),
    ],
)
def test_the_mark_of_a_cell_is_seen_from_its_row(word: Heard | None, other: Heard | None, shown: str) -> None:
    assert mark(Cell(link_of(word, other), word, other)) == shown


def test_every_state_has_a_mark() -> None:
    assert len({mark(Cell(link, None, None)) for link in Link}) == len(Link)
