"""First answers: every host asks every other from the moment their addresses are known, until it is answered."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from ikto_core.admin.views import StatusView
from ikto_core.demo.pings import Pair
from ikto_core.lab.conversation import Conversation, conversation
from ikto_core.lab.hosted import HostedMesh
from ikto_core.lab.traffic import INTERVAL_S
from ikto_core.mesh.records import record_key

QUESTIONS_PER_S = 2000
"""Of all hosts together, until they are answered: a large demo asks less often."""


class FirstAnswers:
    """The first answer of each pair of nodes, as they come."""

    def __init__(self, talks: Mapping[str, Conversation]) -> None:
        self._talks = talks
        self._names: dict[str, str] = {}  # the node of each address that is asked

    @property
    def missing(self) -> Sequence[Pair]:
        """The pairs that have had no answer yet."""
        times = self._times()
        pairs = [(source, target) for source in self._talks for target in self._talks if source != target]
        return [pair for pair in pairs if pair not in times]

    @property
    def last(self) -> float:
        """When the latest of them came, in seconds since the epoch."""
        return max(self._times().values(), default=0.0)

    def ask(self, statuses: Sequence[StatusView | None]) -> None:
        """Have every host ask the addresses that have become known."""
        for status in statuses:
            address = status.private_address if status else None
            if status and address and address not in self._names:
                self._names[address] = status.name
                for name, talk in self._talks.items():
                    if name != status.name:
                        talk.ask(address)

    def since_records(self, statuses: Sequence[StatusView], stored: Mapping[str, float]) -> Mapping[Pair, float]:
        """Return how long after the later of its two records each pair had its first answer, in seconds.

        Args:
            statuses: The status of every node.
            stored: When each record was stored, by its key, in seconds since the epoch.

        """
        claimed = {status.name: stored[record_key(status.allowed_ip or "")] for status in statuses}
        return {
            (source, target): answered - max(claimed[source], claimed[target])
            for (source, target), answered in self._times().items()
        }

    def _times(self) -> Mapping[Pair, float]:
        return {
            (source, self._names[address]): questions[0].answered
            for source, talk in self._talks.items()
            for address, questions in talk.questions.items()
            if questions[0].answered is not None
        }


@contextmanager
def first_answers(mesh: HostedMesh) -> Iterator[FirstAnswers]:
    """Have every host of a mesh answer and ask for the length of a block."""
    pairs = len(mesh.nodes) * (len(mesh.nodes) - 1)
    interval_s = max(INTERVAL_S, pairs / QUESTIONS_PER_S)
    with ExitStack() as stack:
        yield FirstAnswers(
            {
                node.agent.name: stack.enter_context(conversation(node.host, interval_s=interval_s, once=True))
                for node in mesh.nodes
            }
        )
