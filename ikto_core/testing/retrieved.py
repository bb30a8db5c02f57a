"""Tasks whose errors nobody may see: asyncio must not log them when they are collected."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


def retrieved(task: "asyncio.Task[T]") -> "asyncio.Task[T]":
    """Return the task; an error of it that is not awaited is no warning."""
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return task
