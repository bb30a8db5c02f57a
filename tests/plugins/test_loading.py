"""Plugins are loaded one by one: a broken plugin does not affect others, and requesting it says what is wrong."""

from importlib.metadata import EntryPoint

import pytest

from ikto_core.device.backend import BackendPlugin
from ikto_core.errors import PluginError
from ikto_core.plugins import Plugins, PluginStatus, load_plugins
from ikto_core.plugins.hookspecs import hookimpl
from tests.plugin_site import Site

GOOD = """
@hookimpl
def ikto_register_backends():
    yield backend("{name}")
"""


def status_of(plugins: Plugins, distribution: str) -> PluginStatus:
    (status,) = [status for status in plugins.listing() if status.distribution == distribution]
    return status


def test_the_built_in_plugins_are_installed_and_work() -> None:
    plugins = load_plugins()
    assert plugins.backend("fake").name == "fake"
    assert plugins.ipam("random").name == "random"
    assert {status.status for status in plugins.listing() if status.distribution == "ikto"} == {"ok"}


def test_a_third_party_backend_is_available_with_its_distribution_and_version(site: Site) -> None:
    site.install("acme-ikto", GOOD.format(name="acme"))
    plugins = load_plugins()
    assert plugins.backend("acme").summary == "third party"
    expected = PluginStatus(kind="backend", name="acme", distribution="acme-ikto", version="1.5", status="ok")
    assert status_of(plugins, "acme-ikto") == expected


BROKEN = [
    ("raise RuntimeError('no\\nlicence')", "plugin", "import raised RuntimeError: no licence"),
    ("import nothing_of_that_name", "plugin", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
    ("raise SystemExit('I am out')", "plugin", "import raised SystemExit: I am out"),
    ("def (:", "plugin", "import raised SyntaxError"),
    ("pass", "plugin", "it implements none of Ikto's hooks"),
    ("@hookimpl\ndef ikto_register_backend(): return ()", "plugin", "did you mean ikto_register_backends?"),
    ("def ikto_registr_backends(): return ()", "plugin", "did you mean ikto_register_backends?"),
    ("@hookimpl\ndef unheard_of(): return ()", "plugin", "unheard_of is not one of Ikto's hooks"),
    ("def ikto_register_backends(): return ()", "plugin", "ikto_register_backends lacks the decorator @hookimpl"),
    ("@hookimpl\ndef ikto_register_backends(unknown): return ()", "plugin", "Argument(s) {'unknown'} are declared"),
    ("@hookimpl\nasync def ikto_register_backends(): return ()", "plugin", "a hook must be a plain function"),
    ("@hookimpl(wrapper=True)\ndef ikto_register_backends(): return (yield)", "plugin", "is a wrapper or async"),
    (
        "@hookimpl\ndef ikto_register_backends(*, a): return ()",
        "backend",
        "backends raised TypeError",
    ),
    ("class Out(BaseException): pass\nraise Out", "plugin", "import raised Out"),
    (
        "class Mute(Exception):\n    def __str__(self): 1 / 0\nraise Mute",
        "plugin",
        "import raised Mute: (its text is not available)",
    ),
    ("@hookimpl\ndef ikto_register_backends(): return 1 / 0", "backend", "ikto_register_backends raised ZeroDivisionE"),
    ("@hookimpl\ndef ikto_register_backends(): yield backend('a'); 1 / 0", "backend", "raised ZeroDivisionError"),
    ("@hookimpl\ndef ikto_register_backends(): return None", "backend", "returned None, not an iterable of BackendPl"),
    ("@hookimpl\ndef ikto_register_backends(): return backend('a')", "backend", "returned BackendPlugin, not an iter"),
    ("@hookimpl\ndef ikto_register_backends(): return ['wg']", "backend", "returned a str, not a BackendPlugin"),
    ("@hookimpl\ndef ikto_register_ipam_strategies(): return [backend('a')]", "ipam", "not a IpamPlugin"),
    (
        "@hookimpl\ndef ikto_register_backends(): return [backend('Wg 0')]",
        "backend",
        "returned the name 'Wg 0', which is not lower",
    ),
    ("@hookimpl\ndef ikto_register_backends(): return [backend(None)]", "backend", "returned the name None, which is"),
    (
        "@hookimpl\ndef ikto_register_backends(): return [backend('a', summary='two\\nlines')]",
        "backend",
        "returned 'a', whose `summary` is not one line of text",
    ),
    (
        "@hookimpl\ndef ikto_register_backends(): return [backend('a', summary=None)]",
        "backend",
        "whose `summary` is not one line of text",
    ),
    (
        "import itertools\n@hookimpl\ndef ikto_register_backends(): return map(backend, map(str, itertools.count()))",
        "backend",
        "ikto_register_backends returned more than 100 records",
    ),
    (
        "@hookimpl\ndef ikto_register_observers(): return [ObserverPlugin(name='a', summary='', open=7)]",
        "observer",
        "returned 'a', whose `open` is not callable",
    ),
    (
        "@hookimpl\ndef ikto_register_ipam_strategies(): return [IpamPlugin(name='a', summary='', make=7)]",
        "ipam",
        "returned 'a', whose `make` is not callable",
    ),
]


@pytest.mark.parametrize(("code", "kind", "reason"), BROKEN)
def test_a_broken_plugin_is_listed_with_its_reason_and_does_not_affect_others(
    site: Site, code: str, kind: str, reason: str
) -> None:
    site.install("acme-ikto", code, entry="acme")
    plugins = load_plugins()
    status = status_of(plugins, "acme-ikto")
    assert (status.kind, status.name, status.version, status.status) == (kind, "acme", "1.5", "failed")
    assert reason in status.reason
    assert "\n" not in status.reason
    assert plugins.backend("fake").name == "fake"
    look_up = {"ipam": plugins.ipam, "observer": plugins.observer}.get(kind, plugins.backend)
    with pytest.raises(PluginError, match=r"'acme' of acme-ikto 1\.5 .* is broken") as caught:
        look_up("acme")
    assert status.reason in str(caught.value)


def test_a_plugin_whose_target_does_not_exist_fails(site: Site) -> None:
    site.install("acme-ikto", "", target="acme_ikto_module:nothing")
    assert "AttributeError" in status_of(load_plugins(), "acme-ikto").reason


def test_a_bug_in_one_hook_does_not_affect_another_hook_of_the_plugin(site: Site) -> None:
    site.install("acme-ikto", GOOD.format(name="acme") + "@hookimpl\ndef ikto_register_ipam_strategies(): 1 / 0")
    plugins = load_plugins()
    assert plugins.backend("acme").name == "acme"
    kinds = [(status.kind, status.status) for status in plugins.listing() if status.distribution == "acme-ikto"]
    assert kinds == [("backend", "ok"), ("ipam", "failed")]


def test_a_hook_of_a_later_ikto_can_be_marked_optional(site: Site) -> None:
    later = "@hookimpl(optionalhook=True)\ndef ikto_register_future_things(): return ()\n"
    site.install("acme-ikto", later + GOOD.format(name="acme"))
    assert status_of(load_plugins(), "acme-ikto").status == "ok"


@pytest.mark.parametrize(
    "broken",
    [
        "@hookimpl\ndef ikto_register_removed_things(): return ()",
        "@hookimpl\ndef ikto_register_observers(unknown): return ()",
        "@hookimpl\nasync def ikto_register_observers(): return ()",
        "def ikto_register_observers(): return ()",
    ],
)
def test_a_hook_that_can_not_be_called_costs_a_plugin_no_other_offer(site: Site, broken: str) -> None:
    site.install("acme-ikto", f"{GOOD.format(name='acme')}\n{broken}", entry="entry")
    plugins = load_plugins()
    assert plugins.backend("acme").name == "acme"
    rows = [(row.kind, row.name, row.status) for row in plugins.listing() if row.distribution == "acme-ikto"]
    assert rows == [("backend", "acme", "ok"), ("plugin", "entry", "failed")]


def test_two_plugins_with_one_name_are_an_error_that_names_both_only_when_requested(site: Site) -> None:
    site.install("acme-ikto", GOOD.format(name="wg"), entry="wg")
    site.install("other-ikto", GOOD.format(name="wg"), entry="wg")
    plugins = load_plugins()
    assert plugins.backend("fake").name == "fake"
    for distribution in ("acme-ikto", "other-ikto"):
        status = status_of(plugins, distribution)
        assert (status.status, status.name) == ("conflict", "wg")
        assert "acme-ikto 1.5" in status.reason
        assert "other-ikto 1.5" in status.reason
    with pytest.raises(PluginError, match=r"acme-ikto 1\.5 .*other-ikto 1\.5") as caught:
        plugins.backend("wg")
    assert caught.value.hint


def test_a_plugin_with_a_built_in_name_is_reported_and_the_built_in_one_is_used(site: Site) -> None:
    site.install("acme-ikto", GOOD.format(name="fake"))
    plugins = load_plugins()
    assert plugins.backend("fake").summary != "third party"
    status = status_of(plugins, "acme-ikto")
    assert (status.status, status.reason) == ("conflict", "'fake' is the name of a built-in backend, which is used")
    assert [row.status for row in plugins.listing() if (row.name, row.distribution) == ("fake", "ikto")] == ["ok"]


@pytest.mark.parametrize(("name", "hint"), [("fak", "did you mean 'fake'?"), ("netlink", "")])
def test_an_unknown_name_lists_the_available_names_and_suggests_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(PluginError) as caught:
        load_plugins([entry_point("fake", "ikto_backends.fake")]).backend(name)
    assert str(caught.value) == f"there is no backend {name!r}; available: fake"
    assert caught.value.hint == hint
    assert caught.value.exit_code == 7


def test_an_unknown_name_points_to_plugins_that_failed(site: Site) -> None:
    site.install("acme-ikto", "1 / 0", entry="acme")
    with pytest.raises(PluginError) as caught:
        load_plugins().ipam("nowhere")
    assert "run `ikto plugins` to see why 'acme' can't be used" in caught.value.hint


class Instance:
    """A plugin that is an object, not a module."""

    def __init__(self) -> None:
        self.calls = 0

    @hookimpl
    def ikto_register_backends(self) -> list[BackendPlugin]:
        self.calls += 1
        return [BackendPlugin(name="object", summary="", open=print)]  # type: ignore[arg-type]  # never opened


INSTANCE = Instance()


def entry_point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "ikto")


def test_an_object_is_a_plugin_whose_hooks_are_called_once() -> None:
    plugins = load_plugins([entry_point("object", f"{__name__}:INSTANCE")])
    assert plugins.backend("object") is plugins.backend("object")
    assert [(status.name, status.distribution) for status in plugins.listing()] == [("object", "unknown")]
    assert INSTANCE.calls == 1


def test_without_any_plugin_the_error_says_so() -> None:
    with pytest.raises(PluginError, match="there is no ipam 'random'; available: none"):
        load_plugins([]).ipam("random")
