"""Speeds up the exploration: no log, no cyclic garbage collection, no measuring of coverage."""

import gc
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _only_explore() -> Iterator[None]:
    """Log nothing, and collect garbage only at the end: the states that were visited are all still referenced.

    Coverage would double the time, and count nothing that the tests of the rooms don't reach by themselves.
    """
    trace = sys.gettrace()
    sys.settrace(None)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.disable()
    yield
    gc.enable()
    gc.collect()
    sys.settrace(trace)
