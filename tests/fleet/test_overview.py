"""The overview has a row for each node, counts every tunnel once, and lists those in trouble, the worst first."""

import msgspec
import pytest

from ikto_core.cli.formatting import json_text
from ikto_core.fleet import overview as overview_module
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.matrix import Link
from ikto_core.fleet.overview import MeshOverview
from tests.fleet.meshes import ASKED_AT, known, mesh_of


def says(first: int, second: int) -> Heard:
    broken = {(0, 1): Heard.UNANSWERED, (1, 0): Heard.HALF_OPEN, (2, 3): Heard.STALLED}
    return broken.get((first, second), Heard.ACTIVE)


def test_each_node_has_a_row_and_each_tunnel_counts_once() -> None:
    found, _ = mesh_of(known(5), says, silent=[4], forged=[4], revision=7, time_s=ASKED_AT + 12.5)
    assert [node.answered for node in found.nodes] == [True] * 4 + [False]
    first, silent = found.nodes[0], found.nodes[4]
    assert (first.version, first.state, first.revision, first.lag, first.accepted) == ("0.4.0", "ready", 7, 2, 4)
    assert first.clock_offset_s == 12.5
    assert first.heard == {"unanswered": 1, "active": 3}
    assert (silent.version, silent.state, silent.revision, silent.heard) == (None, None, None, {})
    assert (silent.refused_answers, first.refused_answers) == (3, 0)
    assert found.missing == 1
    assert found.links == {Link.STALLED: 1, Link.ONE_WAY: 1, Link.ACTIVE: 8}
    assert sum(found.links.values()) == 5 * 4 / 2


def test_the_tunnels_in_trouble_are_listed_with_both_words() -> None:
    found, _ = mesh_of(known(5), says)
    assert [(row.nodes, row.link, row.words, row.asymmetric) for row in found.troubled] == [
        ((2, 3), Link.STALLED, (Heard.STALLED, Heard.ACTIVE), True),
        ((0, 1), Link.ONE_WAY, (Heard.UNANSWERED, Heard.HALF_OPEN), True),
    ]


def test_the_list_is_bounded_and_the_counts_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview_module, "MOST_LINKS", 3)
    found, _ = mesh_of(known(4), lambda *_: Heard.UNANSWERED)
    assert (len(found.troubled), found.troubled_left_out, found.links) == (3, 3, {Link.DOWN: 6})


def test_a_node_ahead_of_the_asker_does_not_lag_and_one_without_a_device_has_no_lag() -> None:
    ahead, _ = mesh_of(known(2), revision=11)
    assert ahead.nodes[0].lag == 0
    without, _ = mesh_of(known(2), revision=None)
    assert without.nodes[0].lag is None


def test_the_json_is_read_back_as_it_was() -> None:
    found, _ = mesh_of(known(3, ["\x1b[2J<script>"]), says, silent=[2])
    text = json_text(found)
    assert "\x1b" not in text
    assert msgspec.json.decode(text, type=MeshOverview) == found
