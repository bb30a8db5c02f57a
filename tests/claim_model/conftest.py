"""Exploring makes many objects and many log lines, and needs neither looked at."""

import gc
import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _undisturbed() -> Iterator[None]:
    """Log nothing, and look for garbage at the end only: nothing that was seen is garbage before."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.disable()
    yield
    gc.enable()
    gc.collect()
