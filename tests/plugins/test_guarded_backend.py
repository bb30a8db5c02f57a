"""Whatever a backend's methods raise or return, the error names the backend and its distribution."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ikto_core.device.backend import Backend, BackendContext, PeerReader
from ikto_core.device.model import DevicePatch
from ikto_core.errors import BackendError, PluginError
from ikto_core.plugins import Plugins, load_plugins
from tests.plugin_site import Site

PLUGIN = """
from contextlib import asynccontextmanager
from ikto_core.errors import BackendError

class Broken:
    async def read(self, ifname): return {}["ifindex"]
    async def create(self, ifname): raise SystemExit
    async def apply(self, ifname, patch): raise BackendError("no permission", hint="be root")
    async def delete(self, ifname): raise TimeoutError
    async def events(self):
        yield 1 / 0

class Wrong(Broken):
    async def read(self, ifname): return {"peers": []}
    def events(self): return []
    async def read_peers(self, ifname, keys): return keys.nothing

class Talking(Broken):
    async def events(self): yield "wg0"

@asynccontextmanager
async def broken(context): yield Broken()

@asynccontextmanager
async def wrong(context): yield Wrong()

@asynccontextmanager
async def talking(context): yield Talking()

@asynccontextmanager
async def none(context): yield None

@asynccontextmanager
async def unclosable(context):
    yield Broken()
    1 / 0

@hookimpl
def ikto_register_backends():
    for open_ in (broken, wrong, talking, none, unclosable):
        yield BackendPlugin(name=open_.__name__, summary="", open=open_)
"""
CONTEXT = BackendContext(ifname="wg0", state_dir=Path("/nowhere"))


@pytest.fixture
def plugins(site: Site) -> Plugins:
    site.install("acme-ikto", PLUGIN)
    return load_plugins()


async def first_event(backend: Backend) -> None:
    await anext(backend.events())


async def read_peers(backend: Backend) -> None:
    assert isinstance(backend, PeerReader)
    await backend.read_peers("wg0", set())


@pytest.mark.parametrize(
    ("name", "call", "message"),
    [
        ("broken", lambda backend: backend.read("wg0"), "failed in `read`: KeyError: 'ifindex'"),
        ("broken", lambda backend: backend.create("wg0"), "failed in `create`: SystemExit"),
        ("broken", lambda backend: backend.delete("wg0"), "failed in `delete`: TimeoutError"),
        ("broken", first_event, "failed in `events`: ZeroDivisionError: division by zero"),
        ("wrong", lambda backend: backend.read("wg0"), "failed: `read` returned dict, not a DeviceState or None"),
        ("wrong", first_event, "failed: `events` returned list, not an async iterator"),
        ("wrong", read_peers, "failed in `read_peers`: AttributeError: 'set' object has no attribute 'nothing'"),
        ("talking", first_event, "failed: `events` yielded str, not a DeviceEvent"),
    ],
)
async def test_a_fault_of_a_backend_is_its_own(
    plugins: Plugins, name: str, call: Callable[[Backend], Awaitable[object]], message: str
) -> None:
    async with plugins.backend(name).open(CONTEXT) as backend:
        with pytest.raises(PluginError) as caught:
            await call(backend)
    assert str(caught.value) == f"backend {name!r} of acme-ikto 1.5 (entry point 'acme-ikto') {message}"
    assert caught.value.exit_code == 7
    assert caught.value.hint == "this is a bug in the plugin: report it to its author"


async def test_an_error_of_the_contract_passes_through(plugins: Plugins) -> None:
    async with plugins.backend("broken").open(CONTEXT) as backend:
        with pytest.raises(BackendError, match="no permission") as caught:
            await backend.apply("wg0", DevicePatch())
    assert caught.value.hint == "be root"


async def test_only_a_backend_with_read_peers_has_it(plugins: Plugins) -> None:
    async with plugins.backend("broken").open(CONTEXT) as broken, plugins.backend("wrong").open(CONTEXT) as wrong:
        assert (isinstance(broken, PeerReader), isinstance(wrong, PeerReader)) == (False, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [("none", "failed: `open` yielded None"), ("unclosable", "failed in `open`: ZeroDivisionError: division by zero")],
)
async def test_an_open_that_yields_nothing_or_does_not_close_is_a_fault(
    plugins: Plugins, name: str, message: str
) -> None:
    with pytest.raises(PluginError) as caught:
        async with plugins.backend(name).open(CONTEXT):
            pass
    assert str(caught.value).endswith(message)
