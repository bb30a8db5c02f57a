"""The faults of one round of chaos: a pure function of a random generator, so that a seed repeats them."""

from enum import Enum
from random import Random
from typing import NamedTuple

BEGIN_WITHIN_S = 5.0
LONGEST_S = (4.0, 8.0, 8.0, 8.0, 45.0)
"""Of one fault; now and then beyond the 30 s after which an agent gives a silent connection up."""

MOST_STEPS = 7


class Kind(Enum):
    """One kind of fault."""

    SERVER_KILLED = "nats-server killed"
    SERVER_FROZEN = "nats-server frozen"
    REVOKED = "agents' rights revoked"
    AGENT_KILLED = "agent killed"
    AGENT_STOPPED = "agent stopped in order"
    AGENT_FROZEN = "agent frozen"
    REBOOTED = "agent's host rebooted: it is killed, and its device gone"
    CLOCK_JUMPED = "agent's clock jumps"
    PARTITIONED = "agent's packets lost"
    CUT = "agent's connections reset"
    PUSHES_DROPPED = "agent's pushes dropped"
    JUNK = "junk on everybody's subjects"
    STRANGER_ADDED = "stranger's record written"
    DUPLICATE = "another node configured with agent's address"
    STRANGER_DELETED = "stranger's record deleted"
    RECORD_DELETED = "agent's record deleted"
    RECORD_TAKEN = "agent's record replaced by a stranger's"
    CLONED = "copy of agent's machine started"
    WIPED = "stream deleted and made anew"
    RESTORED = "bucket's backup of the round's start restored"


ERRORS = list(Kind)[: list(Kind).index(Kind.DUPLICATE) + 1]
"""In a round of these nobody at all may be removed from a device."""


class Step(NamedTuple):
    """One fault."""

    at_s: float  # after the round's start
    kind: Kind
    who: int  # number of the agent, modulo how many there are
    lasts_s: float

    def __str__(self) -> str:
        return f"{self.at_s:5.1f} s: {self.kind.value} (agent {self.who}, {self.lasts_s:.1f} s)"


def plan(random: Random) -> list[Step]:
    """Return the steps of one round by the time at which they begin; half of the rounds are made of ERRORS only."""
    kinds = random.choice((ERRORS, list(Kind)))
    longest_s = random.choice(LONGEST_S)
    steps = [
        Step(
            at_s=random.uniform(0, BEGIN_WITHIN_S),
            kind=random.choice(kinds),
            who=random.randrange(100),
            lasts_s=random.uniform(0.2, longest_s),
        )
        for _ in range(random.randint(3, MOST_STEPS))
    ]
    return sorted(steps, key=lambda step: step.at_s)
