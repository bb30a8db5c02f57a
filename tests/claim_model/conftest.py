"""Speeds up the exploration: no log, no cyclic garbage collection."""

import gc
import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _no_log_and_no_gc() -> Iterator[None]:
    """Log nothing, and collect garbage only at the end: the states that were visited are all still referenced."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.disable()
    yield
    gc.enable()
    gc.collect()
