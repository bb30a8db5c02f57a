"""Tests that need the kernel's WireGuard, and do to the network what they like: they run in a virtual machine only."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ikto_backends.netlink import open_netlink
from ikto_core.device.backend import Backend, BackendContext
from ikto_core.lab import first_contact

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this room, and skip them where they would meet a network that somebody uses."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("kernel")
            if "IKTO_TEST_VM" not in os.environ:
                item.add_marker(pytest.mark.skip(reason="needs a kernel with WireGuard of its own: make test-kernel"))


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    async with open_netlink(BackendContext(ifname="ikto-kit0", state_dir=tmp_path)) as backend:
        yield backend
        for ifname in ("ikto-kit0", "ikto-kit1"):
            await backend.delete(ifname)


@pytest.fixture(scope="session")
def patient_lab() -> Iterator[None]:
    """The lab's functions wait longer for an emulated machine, and take less of its time by looking."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first_contact, "PATIENCE_S", 900.0)
        patch.setattr(first_contact, "LOOK_EVERY_S", 2.0)
        yield
