"""Calls in another network namespace."""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000  # linux/sched.h


def call_within(netns: str, call: Callable[[], T]) -> T:
    """Return the result of a call whose sockets are those of a network namespace, by name or path; empty: this one.

    Raises what the call raises, and OSError if the namespace can't be entered.
    """
    if not netns:
        return call()
    with ThreadPoolExecutor(max_workers=1) as thread:  # setns(2) moves only the calling thread, which ends here
        return thread.submit(_within, netns, call).result()


def _within(netns: str, call: Callable[[], T]) -> T:
    with (NAMESPACES / netns).open() as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"can't enter the namespace {netns}")
    return call()
