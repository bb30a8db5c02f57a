"""The fake backend: a WireGuard host in memory, for tests, demonstrations and dry runs."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from ikto_backends.fake.device import FakeDevice
from ikto_backends.fake.host import FakeBackend, FakeHost
from ikto_backends.fake.storage import load_device, state_file
from ikto_core.plugins import Backend, BackendContext, BackendPlugin, hookimpl

__all__ = ["FakeBackend", "FakeDevice", "FakeHost", "load_device", "open_fake", "state_file"]


def open_fake(context: BackendContext) -> AbstractAsyncContextManager[Backend]:
    """Open a host whose devices are kept in the state directory, so that they outlive the agent, as real ones do."""
    return FakeHost(context.state_dir).open()


@hookimpl
def ikto_register_backends() -> Iterable[BackendPlugin]:
    """Offer the backend `fake`."""
    return (BackendPlugin(name="fake", summary="devices in memory: no traffic, no privileges", open=open_fake),)
