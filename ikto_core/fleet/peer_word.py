"""What the agent of one peer says of this node, asked over the session that this node's agent has at the time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from ikto_core.errors import NatsError
from ikto_core.fleet.answer import PeerHealth
from ikto_core.fleet.asking import PATIENCE_S, Asker, roster_of
from ikto_core.mesh.view import MeshView
from ikto_core.store.session import Session
from ikto_core.values.keys import PublicKey


class PeerWord(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer's agent says of this node."""

    health: PeerHealth | None = None  # None: it does not answer, or this node is no peer of it
    reason: str = ""  # why it does not answer; empty: it does


class PeerQuestions:
    """Asks peers about this node.

    Args:
        bucket: The mesh's bucket.
        view: Returns the mesh as accepted by this node at the moment.

    """

    def __init__(self, bucket: str, view: Callable[[], MeshView]) -> None:
        self._bucket = bucket
        self._view = view
        self._asker: Asker | None = None

    @contextmanager
    def over(self, session: Session) -> Iterator[None]:
        """Ask over this session for as long as the block lasts."""
        self._asker = Asker(session, self._bucket)
        try:
            yield
        finally:
            self._asker = None

    async def ask(self, key: PublicKey) -> PeerWord:
        """Return what a peer says of this node. Takes PATIENCE_S at most, and never fails."""
        asker, view = self._asker, self._view()
        if asker is None:
            return PeerWord(reason="this node has no connection to NATS")
        if key not in view.peers:
            return PeerWord(reason="it is not a peer")
        try:
            answers = await asker.ask(roster_of(view), to=key, about=view.rules.own_key)
        except NatsError as error:
            return PeerWord(reason=str(error))
        if key not in answers.by_node:
            forged = answers.forged.get(key, 0)
            extra = f"; {forged} messages in its name were not signed by it" if forged else ""
            return PeerWord(reason=f"no answer within {PATIENCE_S:g} s{extra}")
        answer = answers.by_node[key].answer
        return PeerWord(health=answer.about, reason="" if answer.heard else "its device can't be read")
