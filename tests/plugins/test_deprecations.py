"""A plugin that uses what is to be removed is warned, by name; operators see it before an upgrade."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import ikto_core.plugins as door
from ikto_core.deprecations import IktoDeprecationWarning, deprecated, warn
from ikto_core.device.backend import BackendContext
from ikto_core.errors import PluginError
from ikto_core.observers.contract import ObserverContext
from ikto_core.plugins import Plugins, hookspecs, load_plugins
from ikto_core.plugins.hookspecs import hookspec
from ikto_core.testing import ask
from tests.plugin_site import Site

USE = "`parse_dump` of ikto_core.plugins is deprecated since Ikto 0.5: use `read_wireguard`"
ACME = "acme-ikto 1.5 (entry point 'acme-ikto')"
READS = "BackendContext.place is deprecated since Ikto 0.5: use `netns`"

IMPORTS = """
from ikto_core.plugins import parse_dump
@hookimpl
def ikto_register_backends(): yield backend("acme")
"""

RUNS = """
from contextlib import asynccontextmanager
from tests.plugins.test_deprecations import read_old_member

class Backend:
    async def read(self, ifname): read_old_member()
    async def events(self):
        read_old_member()
        yield 1 / 0

class Observer:
    async def see(self, events): read_old_member()

class Strategy:
    def candidates(self, request):
        read_old_member()
        yield request.mesh_cidr

@asynccontextmanager
async def open_backend(context): yield Backend()

@asynccontextmanager
async def opening(context):
    read_old_member()
    yield Backend()

@asynccontextmanager
async def open_observer(context): yield Observer()

@hookimpl
def ikto_register_backends():
    yield BackendPlugin(name="acme", summary="", open=open_backend)
    yield BackendPlugin(name="opening", summary="", open=opening)

@hookimpl
def ikto_register_observers(): yield ObserverPlugin(name="acme", summary="", open=open_observer)

@hookimpl
def ikto_register_ipam_strategies(): yield IpamPlugin(name="acme", summary="", make=Strategy)
"""
CONTEXT = BackendContext(ifname="wg0", state_dir=Path("/nowhere"))


def read_old_member() -> None:
    """Stand for the property that an old member becomes."""
    warn(deprecated("BackendContext.place", since="0.5", instead="use `netns`"))


@pytest.fixture
def _deprecated_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(door._DEPRECATED, "parse_dump", ("0.5", "use `read_wireguard`"))
    monkeypatch.delitem(vars(door), "parse_dump", raising=False)  # a use of an earlier test


def uses_of(plugins: Plugins, distribution: str) -> set[tuple[str, ...]]:
    return {row.deprecated for row in plugins.listing() if row.distribution == distribution}


@pytest.mark.usefixtures("_deprecated_name")
def test_each_plugin_that_imports_a_deprecated_name_is_warned_by_name(site: Site) -> None:
    site.install("acme-ikto", IMPORTS)
    site.install("other-ikto", IMPORTS.replace('"acme"', '"other"'))
    plugins = load_plugins()
    with pytest.warns(IktoDeprecationWarning) as caught:
        plugins.listing()
    other = ACME.replace("acme", "other")
    assert {str(each.message) for each in caught} == {f"{ACME}: {USE}", f"{other}: {USE}"}
    assert {Path(each.filename).name for each in caught} == {"acme_ikto_module.py", "other_ikto_module.py"}
    assert [uses_of(plugins, name) for name in ("acme-ikto", "other-ikto", "ikto")] == [{(USE,)}, {(USE,)}, {()}]
    assert {row.status for row in plugins.listing() if row.distribution == "acme-ikto"} == {"ok"}


@pytest.mark.usefixtures("_deprecated_name")
def test_a_deprecated_name_still_works_and_warns_a_program_too() -> None:
    with pytest.warns(DeprecationWarning, match=r"^`parse_dump` of ikto_core\.plugins is") as caught:
        from ikto_core.plugins import parse_dump  # noqa: PLC0415 - the use
    assert parse_dump.__module__ == "ikto_core.linux.dump"
    assert caught[0].filename == __file__


async def test_what_a_plugin_uses_while_it_runs_is_its_own(site: Site) -> None:
    site.install("acme-ikto", RUNS)
    plugins = load_plugins()
    context = ObserverContext(argument="", ifname="wg0", mesh_cidr="fd10::/16", name="a", state_dir=Path("/nowhere"))

    async def read() -> None:
        async with plugins.backend("acme").open(CONTEXT) as backend:
            await backend.read("wg0")

    async def listen() -> None:
        async with plugins.backend("acme").open(CONTEXT) as backend:
            with pytest.raises(PluginError, match="ZeroDivisionError"):
                await anext(aiter(backend.events()))

    async def open_() -> None:
        async with plugins.backend("opening").open(CONTEXT):
            read_old_member()  # Ikto's own code: nobody's

    async def see() -> None:
        async with plugins.observer("acme").open(context) as observer:
            await observer.see([])

    async def propose() -> None:
        for _ in plugins.ipam("acme").make().candidates(ask("fd10::/16", 32)):
            read_old_member()

    told = []
    for use in (read, listen, open_, see, propose):
        with pytest.warns(IktoDeprecationWarning) as caught:
            await use()
        told.append([str(each.message).removesuffix(f"{ACME}: {READS}") for each in caught])
    assert told == [
        ["backend 'acme' of "],
        ["backend 'acme' of "],
        ["backend 'opening' of ", READS],
        ["observer 'acme' of "],
        ["ipam 'acme' of ", READS],
    ]
    assert uses_of(plugins, "acme-ikto") == {(READS,)}


TOLD = deprecated("it", since="0.5", instead="use another")


@pytest.mark.parametrize(
    ("mark", "uses"),
    [
        (hookspec(warn_on_impl=TOLD), [f"{ACME}: {TOLD}"]),
        (hookspec(warn_on_impl_args={"cli": TOLD}), [f"{ACME}: {TOLD}"]),
        (hookspec(warn_on_impl_args={"other": TOLD}), []),
    ],
)
def test_a_hook_or_an_argument_of_one_is_deprecated_by_pluggys_own_means(
    site: Site, monkeypatch: pytest.MonkeyPatch, mark: Callable[[Callable[..., None]], object], uses: list[str]
) -> None:
    def ikto_register_commands(cli: object, other: object = None) -> None: ...

    monkeypatch.setattr(hookspecs, "ikto_register_commands", mark(ikto_register_commands))
    site.install("acme-ikto", "@hookimpl\ndef ikto_register_commands(cli): pass")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_plugins().commands.knows("acme")
    caught = [each for each in caught if issubclass(each.category, IktoDeprecationWarning)]
    assert [str(each.message) for each in caught] == uses
    assert {Path(each.filename).name for each in caught} <= {"acme_ikto_module.py"}


def test_an_author_may_have_each_warning_fail(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(door._DEPRECATED, "parse_dump", ("0.5", "use `read_wireguard`"))
    monkeypatch.delitem(vars(door), "parse_dump", raising=False)
    site.install("acme-ikto", IMPORTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (row,) = load_plugins().problems()
    assert row.reason == f"import raised IktoDeprecationWarning: {ACME}: {USE}"
