"""The numbered clauses of `ikto_core.device.backend.Backend`, and the decorator that assigns a test to a clause."""

import inspect
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import wraps
from typing import Any, ParamSpec

from ikto_core.device.backend import Backend
from ikto_core.errors import described
from ikto_core.testing.advice import ADVICE
from ikto_core.testing.loop_watch import LoopBlockedError, watched_loop
from ikto_core.testing.verdict import ClauseError

P = ParamSpec("P")
Test = Callable[P, Coroutine[Any, Any, None]]


def clauses_in(text: str, letter: str = "C") -> dict[str, str]:
    """Return the clauses in a text by name: paragraphs that start with `C1. `, with any wrapping or emphasis."""
    plain = re.sub(r"\s+", " ", text.replace("*", ""))
    parts = re.split(rf" ?\b({letter}\d+)\. ", plain)
    return dict(zip(parts[1::2], map(str.strip, parts[2::2]), strict=True))


CLAUSES: Mapping[str, str] = clauses_in(inspect.getdoc(Backend) or "")
"""The text of each clause, from the docstring of `Backend`."""


def clause(name: str) -> Callable[[Test[P]], Test[P]]:
    """Assign a test to a clause. Any exception in it becomes an AssertionError that starts with the clause's name.

    A call that does not return, blocks the event loop or has another type breaks a clause of its own, which is named
    instead. The test always ends.
    """

    def decorate(test: Test[P]) -> Test[P]:
        @wraps(test)
        async def named(*args: P.args, **kwargs: P.kwargs) -> None:
            guard = getattr(args[0], "guarded", None) if args else None
            guard = guard or _unchanged
            try:
                given = {key: guard(value) for key, value in kwargs.items()}
                with watched_loop(getattr(args[0], "call_limit_s", 30.0) if args else 30.0):
                    await test(*args[:1], *map(guard, args[1:]), **given)  # type: ignore[arg-type]  # as declared, but guarded
            except (Exception, LoopBlockedError, BaseExceptionGroup) as error:
                verdict = verdict_of(name, error)
                if args and verdict.hangs:
                    vars(args[0])["hung"] = str(verdict)
                raise verdict from error

        named.__dict__["clause"] = name
        return named

    return decorate


def verdict_of(name: str, error: BaseException) -> ClauseError:
    """Return what a test of the clause `name` says of an error: the clause, what happened, and what to do."""
    leaves = list(_leaves(error))
    own = [leaf for leaf in leaves if isinstance(leaf, ClauseError)]
    if own and own[0].complete:
        return own[0]
    hangs = bool(own and own[0].hangs)
    if blocked := [leaf for leaf in leaves if isinstance(leaf, LoopBlockedError)]:
        clause_name, text, hangs = "C16", str(blocked[0]), True
    elif own:
        clause_name, text = own[0].clause, str(own[0])
    else:
        clause_name, text = name, _shortened(described(leaves[0]))
    advice = f" What to do: {ADVICE[clause_name]}" if clause_name in ADVICE else ""
    return ClauseError(
        clause_name, f"{clause_name}: {CLAUSES[clause_name]} But {text}.{advice}", hangs=hangs, complete=True
    )


def clause_of(test: Callable[..., object]) -> str:
    """Return the name of a test's clause; empty if it has none."""
    name = getattr(test, "clause", "")
    return name if isinstance(name, str) else ""


def _unchanged(value: object) -> object:
    return value


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _shortened(text: str, most: int = 600) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
