"""The matrix shows each tunnel by the word of both sides, and believes a node about itself only."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.fleet.answer import HeardPeers, NodeAnswer, heard_peers
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.matrix import TROUBLED, Cell, Link, Matrix, link_of
from ikto_core.values.keys import PublicKey
from tests.samples import KEYS

A, B, C = KEYS[:3]
words = st.none() | st.sampled_from(Heard)


@pytest.mark.parametrize(
    ("word", "other", "link"),
    [
        (Heard.ACTIVE, Heard.ACTIVE, Link.ACTIVE),
        (Heard.ACTIVE, Heard.IDLE, Link.ACTIVE),  # the session ends while both are asked
        (Heard.ACTIVE, Heard.UNANSWERED, Link.ONE_WAY),
        (Heard.ACTIVE, Heard.HALF_OPEN, Link.ONE_WAY),
        (Heard.ACTIVE, Heard.NEVER, Link.ONE_WAY),
        (Heard.ACTIVE, Heard.ABSENT, Link.ONE_WAY),
        (Heard.ACTIVE, Heard.STALLED, Link.STALLED),
        (Heard.ACTIVE, None, Link.ACTIVE),
        (Heard.HALF_OPEN, Heard.UNANSWERED, Link.ONE_WAY),
        (Heard.HALF_OPEN, Heard.NEVER, Link.ONE_WAY),
        (Heard.HALF_OPEN, Heard.HALF_OPEN, Link.DOWN),
        (Heard.HALF_OPEN, None, Link.ONE_WAY),
        (Heard.UNANSWERED, Heard.UNANSWERED, Link.DOWN),
        (Heard.UNANSWERED, Heard.IDLE, Link.DOWN),
        (Heard.UNANSWERED, None, Link.DOWN),
        (Heard.UNANSWERED, Heard.ABSENT, Link.ABSENT),
        (Heard.ABSENT, Heard.ABSENT, Link.ABSENT),
        (Heard.ABSENT, None, Link.ABSENT),
        (Heard.NEVER, Heard.NEVER, Link.NEVER),
        (Heard.NEVER, Heard.IDLE, Link.IDLE),
        (Heard.IDLE, Heard.IDLE, Link.IDLE),
        (Heard.IDLE, None, Link.IDLE),
        (Heard.STALLED, None, Link.STALLED),
        (None, None, Link.UNKNOWN),
    ],
)
def test_the_state_of_a_tunnel(word: Heard | None, other: Heard | None, link: Link) -> None:
    assert link_of(word, other) is link


@given(words, words)
def test_the_state_does_not_depend_on_who_is_first(word: Heard | None, other: Heard | None) -> None:
    assert link_of(word, other) is link_of(other, word)
    cell = Cell(link_of(word, other), word, other)
    assert cell.asymmetric == Cell(cell.link, other, word).asymmetric
    if {word, other} == {Heard.ACTIVE}:
        assert not cell.asymmetric
    if cell.link is Link.ONE_WAY and None not in (word, other):
        assert cell.asymmetric


def answer(key: PublicKey, says: dict[PublicKey, Heard] | HeardPeers | None) -> NodeAnswer:
    heard = heard_peers(says)[0] if isinstance(says, dict) else says
    return NodeAnswer(nonce="a" * 32, public_key=key.text, version="0.4", state="ready", heard=heard)


def test_each_cell_has_the_words_of_its_two_nodes() -> None:
    said = {A: answer(A, {B: Heard.ACTIVE, C: Heard.UNANSWERED}), B: answer(B, {A: Heard.HALF_OPEN})}
    matrix = Matrix([A, B, C], said)
    assert matrix.cell(0, 1) == (Link.ONE_WAY, Heard.ACTIVE, Heard.HALF_OPEN)
    assert matrix.cell(1, 0) == (Link.ONE_WAY, Heard.HALF_OPEN, Heard.ACTIVE)
    assert matrix.cell(0, 2) == (Link.DOWN, Heard.UNANSWERED, None)
    assert matrix.cell(1, 2).link is Link.UNKNOWN
    assert [(first, second) for first, second, _ in matrix.cells()] == [(0, 1), (0, 2), (1, 2)]


def test_a_device_that_is_not_read_says_nothing() -> None:
    matrix = Matrix([A, B], {A: answer(A, None), B: answer(B, {A: Heard.ACTIVE})})
    assert matrix.cell(0, 1) == (Link.ACTIVE, None, Heard.ACTIVE)


def test_a_liar_spoils_its_own_cells_only() -> None:
    truth = {key: {other: Heard.ACTIVE for other in KEYS if other != key} for key in KEYS}
    honest = Matrix(KEYS, {key: answer(key, says) for key, says in truth.items()})
    for liar, lie in itertools.product(range(len(KEYS)), Heard):
        lies = truth | {KEYS[liar]: dict.fromkeys(KEYS, lie)}  # of itself, too
        matrix = Matrix(KEYS, {key: answer(key, says) for key, says in lies.items()})
        for first, second, cell in matrix.cells():
            if liar in (first, second):
                assert Heard.ACTIVE in (cell.word, cell.other_word), "the other one's word is there"
            else:
                assert cell == honest.cell(first, second)


def test_what_is_said_twice_or_of_strangers_counts_once_or_not() -> None:
    text = B.text[:8]
    matrix = Matrix([A, B], {A: answer(A, HeardPeers(active=text + text + C.text[:8] + A.text[:8], stalled=text))})
    assert matrix.cell(0, 1) == (Link.STALLED, Heard.STALLED, None)
    assert matrix.word(0, 0) is None


def test_two_nodes_with_one_short_key_get_no_word_that_may_be_the_others() -> None:
    twin = PublicKey(bytes(B)[:31] + bytes([bytes(B)[31] ^ 1]))
    matrix = Matrix([A, B, twin], {A: answer(A, {B: Heard.ACTIVE})})
    assert {cell.link for _, _, cell in matrix.cells()} == {Link.UNKNOWN}


def test_what_is_troubled_is_not_what_a_quiet_mesh_has() -> None:
    assert TROUBLED.isdisjoint({Link.ACTIVE, Link.IDLE, Link.NEVER, Link.UNKNOWN})
