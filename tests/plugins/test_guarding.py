"""Exceptions of a plugin's own code become PluginError that names the plugin."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from ikto_core.device.backend import BackendContext
from ikto_core.errors import BackendError, PluginError
from ikto_core.observers.contract import ObserverContext
from ikto_core.plugins import Plugins, load_plugins
from ikto_core.testing import ask
from ikto_core.values.addressing import Prefix
from tests.plugin_site import Site

PLUGIN = """
from contextlib import asynccontextmanager
from ikto_core.errors import BackendError

@asynccontextmanager
async def good(context):
    yield "opened"
    opened.append("closed")

@asynccontextmanager
async def bad(context):
    1 / 0
    yield

@asynccontextmanager
async def leaving(context):
    raise SystemExit
    yield

@asynccontextmanager
async def refusing(context):
    raise BackendError("no permission", hint="be root")
    yield

async def none(context):
    pass

opened = []

class Strategy:
    def candidates(self, request): return [request.mesh_cidr]

@hookimpl
def ikto_register_backends():
    for open_ in (good, bad, leaving, refusing, print):
        yield BackendPlugin(name=open_.__name__, summary="", open=open_)

@hookimpl
def ikto_register_observers():
    yield ObserverPlugin(name="bad", summary="", open=bad)

@hookimpl
def ikto_register_ipam_strategies():
    yield IpamPlugin(name="bad", summary="", make=lambda: {}["key"])
    yield IpamPlugin(name="good", summary="", make=Strategy)
"""
CONTEXT = BackendContext(ifname="wg0", state_dir=Path("/nowhere"))


@pytest.fixture
def plugins(site: Site) -> Plugins:
    site.install("acme-ikto", PLUGIN)
    return load_plugins()


async def open_backend(plugins: Plugins, name: str) -> None:
    async with plugins.backend(name).open(CONTEXT):
        pass


async def open_observer(plugins: Plugins, name: str) -> None:
    directory = Path("/nowhere")
    context = ObserverContext(argument="", ifname="wg0", mesh_cidr="fd10::/16", name="a", state_dir=directory)
    async with plugins.observer(name).open(context):
        pass


async def make_strategy(plugins: Plugins, name: str) -> None:
    plugins.ipam(name).make()


@pytest.mark.parametrize(
    ("use", "name", "message"),
    [
        (open_backend, "bad", "backend 'bad' of acme-ikto 1.5 (entry point 'acme-ikto') failed: ZeroDivisionError"),
        (open_backend, "leaving", "backend 'leaving' of acme-ikto 1.5 (entry point 'acme-ikto') failed: SystemExit"),
        (open_backend, "print", "backend 'print' of acme-ikto 1.5 (entry point 'acme-ikto') failed: TypeError"),
        (open_observer, "bad", "observer 'bad' of acme-ikto 1.5 (entry point 'acme-ikto') failed: ZeroDivisionError"),
        (make_strategy, "bad", "ipam 'bad' of acme-ikto 1.5 (entry point 'acme-ikto') failed: KeyError: 'key'"),
    ],
)
async def test_a_plugin_that_can_not_be_opened_is_a_plugin_error_that_names_its_distribution(
    plugins: Plugins, use: Callable[[Plugins, str], Coroutine[Any, Any, None]], name: str, message: str
) -> None:
    with pytest.raises(PluginError) as caught:
        await use(plugins, name)
    assert str(caught.value).startswith(message)
    assert caught.value.exit_code == 7
    assert caught.value.__cause__


async def test_an_ikto_error_passes_through_unchanged(plugins: Plugins) -> None:
    with pytest.raises(BackendError, match="no permission") as caught:
        await open_backend(plugins, "refusing")
    assert caught.value.hint == "be root"


async def test_a_working_plugin_is_not_affected_by_its_wrapper(plugins: Plugins) -> None:
    async with plugins.backend("good").open(CONTEXT) as opened:
        assert str(opened) == "opened"
    with pytest.raises(ZeroDivisionError):
        async with plugins.backend("good").open(CONTEXT):
            raise ZeroDivisionError
    assert list(plugins.ipam("good").make().candidates(ask("fd10::/16", 32))) == [Prefix.parse("fd10::/16")]
