"""Entry points by kind: names, conflicts and blocking are known without an import, and only what is asked for is."""

from collections.abc import Callable

import pytest

from ikto_core.errors import PluginError
from ikto_core.plugins import Plugins, load_plugins
from tests.plugin_site import Site

RECORDS = """
@hookimpl
def ikto_register_backends(): return [backend("acme"), backend("spare")]
@hookimpl
def ikto_register_ipam_strategies(): return [IpamPlugin(name="acme", summary="", make=print)]
@hookimpl
def ikto_register_observers(): return [ObserverPlugin(name="acme", summary="", open=print)]
@hookimpl
def ikto_register_commands(cli): cli.add_command(click.Command("acme"))
"""

LOOK_UP: dict[str, Callable[[Plugins], object]] = {
    "ikto.backends": lambda plugins: plugins.backend("acme"),
    "ikto.ipam": lambda plugins: plugins.ipam("acme"),
    "ikto.observers": lambda plugins: plugins.observer("acme"),
    "ikto.commands": lambda plugins: plugins.command("acme"),
}


def rows_of(plugins: Plugins, distribution: str) -> list[tuple[str, str, str]]:
    return [(row.kind, row.name, row.status) for row in plugins.listing() if row.distribution == distribution]


def reason_of(plugins: Plugins, distribution: str) -> str:
    (reason,) = [row.reason for row in plugins.listing() if row.distribution == distribution]
    return reason


@pytest.mark.parametrize("group", LOOK_UP)
def test_only_the_plugin_that_is_asked_for_is_imported(site: Site, group: str) -> None:
    site.install("acme-ikto", RECORDS, entry="acme", group=group)
    site.install("other-ikto", RECORDS, entry="other", group=group)
    site.install("old-ikto", RECORDS)
    plugins = load_plugins()
    assert not site.attempted("acme-ikto")
    assert LOOK_UP[group](plugins) is LOOK_UP[group](plugins)
    assert [site.attempted(each) for each in ("acme-ikto", "other-ikto", "old-ikto")] == [True, False, False]


def test_a_built_in_name_imports_no_other_plugin_and_who_shadows_it_is_reported(site: Site) -> None:
    site.install("acme-ikto", RECORDS, entry="fake", group="ikto.backends")
    plugins = load_plugins()
    assert plugins.backend("fake").summary != "third party"
    assert reason_of(plugins, "acme-ikto") == "'fake' is the name of a built-in backend, which is used"
    assert [row.status for row in plugins.problems(imported_only=True)] == ["conflict"]
    assert not site.attempted("acme-ikto")


def test_a_conflict_is_known_without_importing_either(site: Site) -> None:
    for distribution in ("acme-ikto", "other-ikto"):
        site.install(distribution, RECORDS, entry="acme", group="ikto.backends")
    plugins = load_plugins()
    with pytest.raises(PluginError, match=r"backend 'acme': provided more than once, by acme-ikto 1\.5 .*other-ikto"):
        plugins.backend("acme")
    assert rows_of(plugins, "acme-ikto") == rows_of(plugins, "other-ikto") == [("backend", "acme", "conflict")]
    assert not site.attempted("acme-ikto")
    assert not site.attempted("other-ikto")
    assert load_plugins(blocked=["other-ikto"]).backend("acme").name == "acme"


def test_a_blocked_name_is_not_imported_and_says_so(site: Site) -> None:
    site.install("acme-ikto", RECORDS, entry="acme", group="ikto.backends")
    plugins = load_plugins(blocked=["acme"])
    with pytest.raises(PluginError, match=r"backend 'acme' of acme-ikto 1\.5 .* is blocked: .*names 'acme'"):
        plugins.backend("acme")
    assert rows_of(plugins, "acme-ikto") == [("backend", "acme", "blocked")]
    assert not site.attempted("acme-ikto")


def test_a_name_of_an_entry_point_counts_more_than_one_known_after_an_import(site: Site) -> None:
    site.install("acme-ikto", RECORDS, entry="acme", group="ikto.backends")
    site.install("old-ikto", "@hookimpl\ndef ikto_register_backends(): return [backend('acme', 'old')]")
    plugins = load_plugins()
    assert plugins.backend("acme").summary == "third party"
    assert reason_of(plugins, "old-ikto").startswith("backend 'acme' of acme-ikto 1.5 ")
    assert rows_of(plugins, "acme-ikto") == [("backend", "acme", "ok")]


def test_one_distribution_may_have_both_kinds_of_entry_point(site: Site) -> None:
    site.install("acme-ikto", "@hookimpl\ndef ikto_register_backends(): return [backend('acme')]")
    info = site.path / "acme_ikto-1.5.dist-info" / "entry_points.txt"
    info.write_text("[ikto]\nold = acme_ikto_module\n[ikto.backends]\nacme = acme_ikto_module\n")
    assert rows_of(load_plugins(), "acme-ikto") == [("backend", "acme", "ok")]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (RECORDS, "ikto_register_backends provides 'acme', 'spare', not 'none', which is the name of the entry point"),
        ("", "it has no hook ikto_register_backends that provides 'none'"),
        ("raise SystemExit('out')", "import raised SystemExit: out"),
        ("@hookimpl\ndef ikto_register_backends(): 1 / 0", "ikto_register_backends raised ZeroDivisionError"),
        (
            "@hookimpl\ndef ikto_register_backends(): return [backend('none'), backend('none')]",
            "ikto_register_backends provides 'none' more than once",
        ),
    ],
)
def test_an_entry_point_without_a_record_of_its_name_is_broken(site: Site, code: str, reason: str) -> None:
    site.install("acme-ikto", code, entry="none", group="ikto.backends")
    plugins = load_plugins()
    assert reason in reason_of(plugins, "acme-ikto")
    with pytest.raises(PluginError, match=r"backend 'none' of acme-ikto 1\.5 .* is broken"):
        plugins.backend("none")


def test_a_misspelt_hook_is_named_where_the_plugin_is_asked_for(site: Site) -> None:
    site.install("acme-ikto", "@hookimpl\ndef ikto_register_backend(): ...", entry="acme", group="ikto.backends")
    with pytest.raises(PluginError, match="did you mean ikto_register_backends"):
        load_plugins().backend("acme")


def test_a_name_that_no_plugin_may_have_is_reported(site: Site) -> None:
    site.install("acme-ikto", RECORDS, entry="Acme_1", group="ikto.backends")
    assert "is not lower case letters" in reason_of(load_plugins(), "acme-ikto")
    assert not site.attempted("acme-ikto")


def test_the_names_of_an_unknown_one_are_listed_without_importing_them(site: Site) -> None:
    site.install("acme-ikto", "raise SystemExit", entry="acme", group="ikto.backends")
    with pytest.raises(PluginError, match=r"there is no backend 'acm'; available: acme, fake, netlink, wgtool"):
        load_plugins().backend("acm")
    assert not site.attempted("acme-ikto")


def test_what_one_plugin_prints_or_raises_at_import_costs_no_other(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install("loud-ikto", "print('loud')\nraise ValueError", entry="loud", group="ikto.backends")
    site.install("acme-ikto", RECORDS, entry="acme", group="ikto.backends")
    plugins = load_plugins()
    assert rows_of(plugins, "acme-ikto") == [("backend", "acme", "ok")]
    assert rows_of(plugins, "loud-ikto") == [("backend", "loud", "failed")]
    assert capsys.readouterr() == ("", "loud\n")
