"""The numbered clauses of `ikto_core.ipam.contract.IpamStrategy`, and the mark that ties a test to one."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec

from ikto_core.ipam.contract import IpamStrategy
from ikto_core.testing.clauses import clauses_in

P = ParamSpec("P")

IPAM_CLAUSES: Mapping[str, str] = clauses_in(inspect.getdoc(IpamStrategy) or "", "I")
"""What each clause promises: the contract's own words, from the docstring of `IpamStrategy`."""


def ipam_clause(name: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Make a test one of a clause: whatever goes wrong in it is an AssertionError that starts with the name."""

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
