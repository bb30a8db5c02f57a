"""Fixtures for tests of the login to NATS."""

import logging
import shutil
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from tests.store.credentials import SECRETS, Authority


@pytest.fixture
def no_secrets_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail the test if it logs a secret, at any level and with any logger."""
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logged:
        yield
    output = f"{logged} {caplog.text}"
    assert [secret for secret in SECRETS if secret in output] == []


@pytest.fixture(scope="session")
def openssl() -> str:
    """The path of the openssl program, which creates the certificates."""
    return shutil.which("openssl") or pytest.skip("needs the openssl program")


@pytest.fixture(scope="session")
def authority(openssl: str, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA that both nodes and servers trust."""
    return Authority(tmp_path_factory.mktemp("ca"), openssl)
