"""The backend `fake`: WireGuard devices in memory, for tests, demos and dry runs."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from ikto_backends.fake.device import FakeDevice
from ikto_backends.fake.host import FakeBackend, FakeHost
from ikto_backends.fake.storage import load_device, state_file
from ikto_core.plugins import Backend, BackendContext, BackendPlugin, hookimpl

__all__ = ["FakeBackend", "FakeDevice", "FakeHost", "load_device", "open_fake", "state_file"]


def open_fake(context: BackendContext) -> AbstractAsyncContextManager[Backend]:
    """Open a fake host whose devices are saved in the state directory: they outlive the agent, as real ones do."""
    return FakeHost(context.state_dir).open()


@hookimpl
def ikto_register_backends() -> Iterable[BackendPlugin]:
    """Register the backend `fake`."""
    summary = "devices in memory: no traffic, no privileges"
    return (BackendPlugin(name="fake", summary=summary, open=open_fake, host_devices=False),)
