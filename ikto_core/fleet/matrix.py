"""Who hears whom, by the word of both sides. Pure.

A node is believed about itself only. What it says of a peer is its own side of the tunnel; the other side is the peer's
word. So a node that lies spoils the cells of its own row and column, where its word is shown beside the other one.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from ikto_core.fleet.answer import SHORT_KEY, NodeAnswer
from ikto_core.fleet.heard import Heard
from ikto_core.values.keys import PublicKey


class Link(Enum):
    """The tunnel between two nodes, the worst first."""

    STALLED = "stalled"  # one side says that handshakes arrive and data does not
    ONE_WAY = "one_way"  # one side receives, and the other does not, or not as much
    DOWN = "down"  # packets are sent, and no session comes of them
    ABSENT = "absent"  # one of the devices lacks the other node
    NEVER = "never"  # there was no handshake, and none is tried
    IDLE = "idle"  # the last session is over, and nothing is sent
    ACTIVE = "active"  # both have a session
    UNKNOWN = "unknown"  # neither has answered


TROUBLED = frozenset({Link.STALLED, Link.ONE_WAY, Link.DOWN, Link.ABSENT})

_RECEIVING = frozenset({Heard.ACTIVE, Heard.HALF_OPEN})
_SESSION_ENDS = frozenset({Heard.ACTIVE, Heard.IDLE})
"""Both words are true while a session ends, since the sides are asked one after the other."""


class Cell(NamedTuple):
    """The tunnel between two nodes: what each says of the other; None: it says nothing."""

    link: Link
    word: Heard | None  # of the first node
    other_word: Heard | None  # of the second

    @property
    def asymmetric(self) -> bool:
        """Whether the sides of a troubled tunnel say different things."""
        return self.link in TROUBLED and self.word is not self.other_word and None not in (self.word, self.other_word)


def link_of(word: Heard | None, other_word: Heard | None) -> Link:
    """Return the state of a tunnel by what its sides say; with one side's word only, by that."""
    words = frozenset({word, other_word} - {None})
    if not words:
        return Link.UNKNOWN
    if Heard.STALLED in words:
        return Link.STALLED
    if words & _RECEIVING:
        return _receiving(words, both=word is other_word)
    if Heard.ABSENT in words:
        return Link.ABSENT
    if Heard.UNANSWERED in words:
        return Link.DOWN
    return Link.IDLE if Heard.IDLE in words else Link.NEVER


def _receiving(words: frozenset[Heard | None], *, both: bool) -> Link:
    """Return the state of a tunnel if a side receives packets; `both`: the sides say the same."""
    if Heard.ACTIVE in words and words <= _SESSION_ENDS:
        return Link.ACTIVE
    return Link.DOWN if both else Link.ONE_WAY


_CELLS = {(word, other): Cell(link_of(word, other), word, other) for word in (None, *Heard) for other in (None, *Heard)}


class Matrix:
    """The tunnels between some nodes.

    Args:
        nodes: The nodes, in the order of rows and columns.
        answers: What those that have answered say.

    """

    def __init__(self, nodes: Sequence[PublicKey], answers: Mapping[PublicKey, NodeAnswer]) -> None:
        self.nodes = tuple(nodes)
        self._position = {key: number for number, key in enumerate(self.nodes)}
        shorts = Counter(key.text[:SHORT_KEY] for key in self.nodes)
        self._named = {
            key.text[:SHORT_KEY]: number for key, number in self._position.items() if shorts[key.text[:SHORT_KEY]] == 1
        }
        self._rows: list[dict[int, Heard]] = [self._row(key, answers.get(key)) for key in self.nodes]

    def _row(self, key: PublicKey, answer: NodeAnswer | None) -> dict[int, Heard]:
        """Return what a node says, by the number of the node that it speaks of; of itself it says nothing."""
        row: dict[int, Heard] = {}
        for short, heard in answer.heard.states() if answer and answer.heard else ():
            number = self._named.get(short)
            if number is not None and number != self._position[key]:
                row.setdefault(number, heard)  # the worst counts, if a liar says two things
        return row

    def word(self, first: int, second: int) -> Heard | None:
        """Return what one node says of another; None: it says nothing."""
        return self._rows[first].get(second)

    def cell(self, first: int, second: int) -> Cell:
        """Return the tunnel between two nodes, by their numbers."""
        return _CELLS[self._rows[first].get(second), self._rows[second].get(first)]

    def cells(self) -> Iterator[tuple[int, int, Cell]]:
        """Yield every tunnel once, with the numbers of its nodes in ascending order."""
        for first, row in enumerate(self._rows):
            for second in range(first + 1, len(self.nodes)):
                yield first, second, _CELLS[row.get(second), self._rows[second].get(first)]
