"""How often agents ask the leader of a bucket, so that all of them together do not ask too often. Pure."""

from random import Random

CHECK_EVERY_S = 20.0
"""How often the leader is asked whether the stream is still the same, ± 20 %."""

LEADER_CHECKS_PER_S = 50.0
"""Limit of the checks of all agents of a mesh together; in a larger mesh each agent checks less often."""

WAKE_DELAY_S = 0.3


def wake_delay_s(keys: int, random: Random) -> float:
    """Return the delay from a write's notification to the check at the leader, in seconds, with jitter."""
    return (WAKE_DELAY_S + keys / LEADER_CHECKS_PER_S) * random.uniform(0.5, 1)


def check_interval_s(keys: int, random: Random) -> float:
    """Return the pause before the next check at the leader, in seconds, with jitter."""
    return longest_check_interval_s(keys) * random.uniform(2 / 3, 1)


def longest_check_interval_s(keys: int) -> float:
    """Return the longest pause between two checks of an agent, in seconds, in a bucket with so many keys."""
    return 1.2 * max(CHECK_EVERY_S, keys / LEADER_CHECKS_PER_S)
