"""The numbered clauses of `ikto_core.ipam.contract.IpamStrategy`, and the decorator that assigns a test to a clause."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec

from ikto_core.errors import described
from ikto_core.ipam.contract import IpamStrategy
from ikto_core.testing.clauses import clauses_in
from ikto_core.testing.ipam_advice import IPAM_ADVICE
from ikto_core.testing.loop_watch import LoopBlockedError, limited_time

P = ParamSpec("P")

LIMIT_S = 240.0
"""How long a test may take. Work is limited by counting; this is for code that waits for ever."""

IPAM_CLAUSES: Mapping[str, str] = clauses_in(inspect.getdoc(IpamStrategy) or "", "I")
"""The text of each clause, from the docstring of `IpamStrategy`."""


def ipam_clause(name: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Assign a test to a clause. Any exception in it becomes an AssertionError that starts with the clause's name."""

    def decorate(test: Callable[P, None]) -> Callable[P, None]:
        @wraps(test)
        def named(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                with limited_time(LIMIT_S):
                    test(*args, **kwargs)
            except (Exception, LoopBlockedError) as error:
                text = f"{described(error)}. What to do: {IPAM_ADVICE[name]}"
                message = f"{name}: {IPAM_CLAUSES[name]} But {text}"
                if args and isinstance(error, LoopBlockedError):
                    vars(args[0])["hung"] = message
                raise AssertionError(message) from error

        named.__dict__["clause"] = name
        return named

    return decorate
