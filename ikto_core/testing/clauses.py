"""The numbered clauses of `ikto_core.backend.Backend`, and the mark that ties a test to one."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

P = ParamSpec("P")

CLAUSES = {
    "C1": "`create` of a device that exists changes nothing; a new one is down, with no key and no peers",
    "C2": "`read` of an absent device returns None; `delete` of one does nothing",
    "C3": "`apply` to an absent device raises NoSuchDeviceError",
    "C4": "in a patch, None or an empty collection leaves alone what it stands for",
    "C5": "`apply` carries out additions and changes before removals, and drops no session of a peer that stays",
    "C6": "an allowed IP belongs to one peer: giving it to a peer takes it from its old owner",
    "C7": "a peer patch without `create` for an absent peer, and the removal of an absent peer, do nothing",
    "C8": "failures raise BackendError, and may leave a part applied: read again",
    "round trip": "once the difference between a spec and the device is applied, the device shows the spec",
}


def clause(
    name: str,
) -> Callable[[Callable[P, Coroutine[Any, Any, None]]], Callable[P, Coroutine[Any, Any, None]]]:
    """Make a test one of a clause: whatever goes wrong in it is an AssertionError that starts with the name."""

    def decorate(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, Coroutine[Any, Any, None]]:
        @wraps(test)
        async def named(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                await test(*args, **kwargs)
            except Exception as error:
                raise AssertionError(f"{name}: {CLAUSES[name]}. But {type(error).__name__}: {error}") from error

        named.__dict__["clause"] = name
        return named

    return decorate


def clause_of(test: Callable[..., object]) -> str:
    """Return the clause that a test belongs to; empty: to none."""
    name = getattr(test, "clause", "")
    return name if isinstance(name, str) else ""
