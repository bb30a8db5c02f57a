"""Sizes of the tests: small for `make test`, large with IKTO_THOROUGH=1, as `make test-slow` sets it.

A thorough run tries five times the examples of each property and ten times the states of the claim protocol, and starts
each agent with an interpreter of its own; by default agents are forked.

With IKTO_NEW_EXAMPLES=1, as `make test-properties` sets it, properties look for faults that nobody has seen yet. Other
runs fail for what a change broke, never for a fault that chance finds in the middle of it.
"""

import os

NEW_EXAMPLES = os.environ.get("IKTO_NEW_EXAMPLES") == "1"
"""Whether properties try examples that no run has tried before. By default they try the same in every run."""

THOROUGH = os.environ.get("IKTO_THOROUGH") == "1"
"""Whether this is a thorough run."""


def max_examples(thorough: int) -> int:
    """Return the number of examples of a property in this run, given that of a thorough run."""
    return thorough if THOROUGH else max(thorough // 5, 5)
