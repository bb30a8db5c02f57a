"""What a peer's agent says of this node, for a diagnosis."""

import time

from ikto_core.diagnosis.facts import OtherSide
from ikto_core.fleet.heard import Heard
from ikto_core.fleet.peer_word import PeerQuestions
from ikto_core.values.keys import PublicKey


async def ask_other_side(questions: PeerQuestions, key: PublicKey) -> OtherSide:
    """Ask a peer's agent; if it does not answer, the reason is in the result. Takes some seconds at most."""
    word = await questions.ask(key)
    if word.reason:
        return OtherSide(reason=word.reason)
    health = word.health
    if health is None or health.heard is Heard.ABSENT:
        return OtherSide(answers=True, has_peer=False)
    age_s = health.handshake_age_s
    return OtherSide(
        answers=True,
        state=health.heard.value.replace("_", " "),
        last_handshake=None if age_s is None else time.time() - age_s,
        rx_bytes=health.rx_bytes,
        tx_bytes=health.tx_bytes,
    )
