"""How often nodes that choose at random choose the same: the birthday problem, without rounding away what is small.

All of it is about nodes that ask at the same moment, and so know nothing of each other. Of nodes that start one after
another none collides: each sees what those before it hold.
"""

from math import expm1, fsum, log1p


def collision_probability(nodes: int, free: int) -> float:
    """Return how likely it is that the first candidates of so many nodes are not all different.

    1 - (1 - 1/f)(1 - 2/f)…(1 - (n - 1)/f) for n nodes and f free subnets.
    """
    if nodes > free:
        return 1.0
    return -expm1(fsum(log1p(-before / free) for before in range(nodes)))


def expected_second_tries(nodes: int, free: int) -> float:
    """Return how many of the nodes find their first candidate taken, on average.

    The nodes less the different candidates among them, n - f(1 - (1 - 1/f)^n): node by node, the chance that one of
    those before it has the same.
    """
    if free <= 1:
        return float(max(nodes - free, 0))
    return fsum(-expm1(before * log1p(-1 / free)) for before in range(nodes))
