"""Speeds up the exploration: no log, no cyclic garbage collection, no coverage, each key derived once."""

import gc
import logging
import sys
from collections.abc import Iterator
from functools import cache

import pytest
import structlog

from ikto_core.values.keys import PrivateKey

_public = cache(PrivateKey.public)


@pytest.fixture(autouse=True)
def _only_explore(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Log nothing, and collect garbage only at the end: the states that were visited are all still referenced.

    Coverage would double the time, and count nothing that the tests of the rooms don't reach by themselves.
    """
    monkeypatch.setattr(PrivateKey, "public", _public)
    trace = sys.gettrace()
    sys.settrace(None)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.disable()
    yield
    gc.enable()
    gc.collect()
    sys.settrace(trace)
