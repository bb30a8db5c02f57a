"""How much the suite tries: `make test` little, to take minutes; `make test-slow`, with IKTO_THOROUGH=1, much.

Thorough means: five times the examples of a property, more states of the claim protocol, and each agent an interpreter
of its own where the default forks it.
"""

import os

THOROUGH = os.environ.get("IKTO_THOROUGH") == "1"
"""Whether this run has the time."""


def max_examples(thorough: int) -> int:
    """Return how many examples of a property this run tries, of those of a thorough one."""
    return thorough if THOROUGH else max(thorough // 5, 5)
