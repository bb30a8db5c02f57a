"""Collision probabilities of random subnet choices (the birthday problem), accurate for very small values, too.

All functions assume nodes that choose at the same moment, without knowledge of each other. Nodes that start one after
another don't collide: each sees the claims of those before it.
"""

from math import expm1, fsum, log1p


def collision_probability(nodes: int, free: int) -> float:
    """Return the probability that at least two of these nodes have the same first candidate.

    1 - (1 - 1/f)(1 - 2/f)…(1 - (n - 1)/f) for n nodes and f free subnets.
    """
    if nodes > free:
        return 1.0
    return -expm1(fsum(log1p(-before / free) for before in range(nodes)))


def expected_second_tries(nodes: int, free: int) -> float:
    """Return the expected number of nodes that find their first candidate taken.

    That is the number of nodes minus the expected number of distinct candidates, n - f(1 - (1 - 1/f)^n), computed as a
    sum over nodes: the probability that one of the nodes before it has the same candidate.
    """
    if free <= 1:
        return float(max(nodes - free, 0))
    return fsum(-expm1(before * log1p(-1 / free)) for before in range(nodes))
