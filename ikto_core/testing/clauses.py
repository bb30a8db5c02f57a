"""The numbered clauses of `ikto_core.device.backend.Backend`, and the decorator that assigns a test to a clause."""

import inspect
import re
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from typing import Any, ParamSpec

from ikto_core.device.backend import Backend

P = ParamSpec("P")


def clauses_in(text: str, letter: str = "C") -> dict[str, str]:
    """Return the clauses in a text by name: paragraphs that start with `C1. `, with any wrapping or emphasis."""
    plain = re.sub(r"\s+", " ", text.replace("*", ""))
    parts = re.split(rf" ?\b({letter}\d+)\. ", plain)
    return dict(zip(parts[1::2], map(str.strip, parts[2::2]), strict=True))


CLAUSES: Mapping[str, str] = clauses_in(inspect.getdoc(Backend) or "")
"""The text of each clause, from the docstring of `Backend`."""


def clause(
    name: str,
) -> Callable[[Callable[P, Coroutine[Any, Any, None]]], Callable[P, Coroutine[Any, Any, None]]]:
    """Assign a test to a clause. Any exception in it becomes an AssertionError that starts with the clause's name."""

    def decorate(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, Coroutine[Any, Any, None]]:
        @wraps(test)
        async def named(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                await test(*args, **kwargs)
            except Exception as error:
                raise AssertionError(f"{name}: {CLAUSES[name]} But {type(error).__name__}: {error}") from error

        named.__dict__["clause"] = name
        return named

    return decorate


def clause_of(test: Callable[..., object]) -> str:
    """Return the name of a test's clause; empty if it has none."""
    name = getattr(test, "clause", "")
    return name if isinstance(name, str) else ""
