"""Fixtures for logging in to NATS."""

import logging
import shutil
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from tests.store.credentials import SECRETS, Authority


@pytest.fixture
def untold(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """See to it that the test logs no secret, at whatever level, by whatever logger."""
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logged:
        yield
    said = f"{logged} {caplog.text}"
    assert [secret for secret in SECRETS if secret in said] == []


@pytest.fixture(scope="session")
def openssl() -> str:
    """The program that makes certificates."""
    return shutil.which("openssl") or pytest.skip("TLS is not tested: there is no openssl program here")


@pytest.fixture(scope="session")
def authority(openssl: str, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Our CA."""
    return Authority(tmp_path_factory.mktemp("ca"), openssl)
