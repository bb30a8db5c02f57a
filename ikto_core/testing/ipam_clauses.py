"""The numbered clauses of `ikto_core.ipam.contract.IpamStrategy`, and the decorator that assigns a test to a clause."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec

from ikto_core.ipam.contract import IpamStrategy
from ikto_core.testing.clauses import clauses_in

P = ParamSpec("P")

IPAM_CLAUSES: Mapping[str, str] = clauses_in(inspect.getdoc(IpamStrategy) or "", "I")
"""The text of each clause, from the docstring of `IpamStrategy`."""


def ipam_clause(name: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Assign a test to a clause. Any exception in it becomes an AssertionError that starts with the clause's name."""

    def decorate(test: Callable[P, None]) -> Callable[P, None]:
        @wraps(test)
        def named(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                test(*args, **kwargs)
            except Exception as error:
                raise AssertionError(f"{name}: {IPAM_CLAUSES[name]} But {type(error).__name__}: {error}") from error

        named.__dict__["clause"] = name
        return named

    return decorate
