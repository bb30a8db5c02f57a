"""Fixtures that more than one room's tests use."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import hypothesis
import pytest
import structlog

from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings, Session
from tests.effort import NEW_EXAMPLES, max_examples
from tests.forked import END_WITH_TESTS
from tests.plugin_site import Site

hypothesis.settings.register_profile(
    "shared machine", deadline=None, print_blob=True, max_examples=max_examples(100), derandomize=not NEW_EXAMPLES
)
hypothesis.settings.load_profile("shared machine")

MESH = MeshSettings("fd10::/16", 48)

SLOW_IN_KITS = {"test_many_calls_leave_nothing_behind", "test_another_process_has_the_same_candidates"}
"""Tests of the kits that call a plugin some hundred times, or start processes: with the slow tests here."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them before pytest selects by markers."""
    for item in items:
        if item.name in SLOW_IN_KITS:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _log_as_by_default() -> Iterator[None]:
    """Undo what a command that ran in this process did to the log: its stderr is gone."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of pytest-xdist have COLUMNS, which cuts tables."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def private_umask() -> Iterator[None]:
    """Files that the test writes are its user's alone, as files with secrets must be."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A place for plugins of others, gone after the test."""
    return Site(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A nats-server for tests that do it no harm; each uses buckets of its own."""
    with running_server(tmp_path_factory.mktemp("nats"), exec_prefix=END_WITH_TESTS) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server that the test may kill."""
    with running_server(tmp_path / "nats", exec_prefix=END_WITH_TESTS) as server:
        yield server


@pytest.fixture
async def session(shared_server: NatsServer) -> AsyncIterator[Session]:
    async with open_session(NatsSettings(servers=(shared_server.url,)), Random()) as session:
        yield session


@pytest.fixture
async def bucket(session: Session, request: pytest.FixtureRequest) -> Bucket:
    """A bucket of the test's own, as `ikto bucket create` makes it."""
    bucket = Bucket(session, "".join(c if c.isalnum() else "_" for c in request.node.name))
    await create_bucket(bucket, MESH, replicas=1, memory=False)
    return bucket
