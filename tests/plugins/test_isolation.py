"""What plugins can't do to each other and to us, and how they are switched off."""

from pathlib import Path

import pytest

from ikto_core.errors import PluginError
from ikto_core.plugins import Plugins, PluginStatus, load_plugins
from tests.plugin_site import Site

TWO_KINDS = """
@hookimpl
def ikto_register_backends():
    yield backend("acme")

@hookimpl
def ikto_register_observers():
    yield ObserverPlugin(name="acme-watch", summary="watches", open=print)
"""


def rows_of(plugins: Plugins, distribution: str) -> list[tuple[str, str, str]]:
    return [(row.kind, row.name, row.status) for row in plugins.listing() if row.distribution == distribution]


def test_a_third_partys_observer_is_on_offer(site: Site) -> None:
    site.install("acme-ikto", TWO_KINDS)
    assert load_plugins().observer("acme-watch").summary == "watches"


@pytest.mark.parametrize("name", ["acme-ikto", "Acme_Ikto", "acme.ikto", "entry"])
def test_a_blocked_distribution_or_entry_point_is_not_even_imported(site: Site, name: str) -> None:
    site.install("acme-ikto", TWO_KINDS, entry="entry")
    plugins = load_plugins(blocked=[name])
    assert not site.imported("acme-ikto")
    wanted = PluginStatus(
        kind="plugin",
        name="entry",
        distribution="acme-ikto",
        version="1.5",
        status="blocked",
        reason=f"`blocked_plugins` names {name!r}",
    )
    assert wanted in plugins.listing()
    with pytest.raises(PluginError, match=r"there is no backend 'acme'; on offer: fake") as caught:
        plugins.backend("acme")
    assert "`ikto plugins` says what is wrong with 'entry'" in caught.value.hint


def test_to_ask_for_what_is_blocked_is_an_error_that_says_so(site: Site) -> None:
    site.install("acme-ikto", TWO_KINDS, entry="acme")
    with pytest.raises(PluginError, match=r"backend 'acme' of acme-ikto 1\.5 .* is blocked: .*names 'acme'") as caught:
        load_plugins(blocked=["acme"]).backend("acme")
    assert (caught.value.exit_code, caught.value.hint) == (7, "take it out of `blocked_plugins` to use it")


def test_one_of_the_things_that_a_plugin_offers_can_be_blocked(site: Site) -> None:
    site.install("acme-ikto", TWO_KINDS)
    plugins = load_plugins(blocked=["acme"])
    assert rows_of(plugins, "acme-ikto") == [("backend", "acme", "blocked"), ("observer", "acme-watch", "ok")]
    assert plugins.observer("acme-watch").name == "acme-watch"
    with pytest.raises(PluginError, match="is blocked"):
        plugins.backend("acme")


def test_blocking_one_of_two_that_conflict_settles_it(site: Site) -> None:
    site.install("acme-ikto", '@hookimpl\ndef ikto_register_backends(): yield backend("fake")', entry="fake")
    assert load_plugins(blocked=["acme-ikto"]).backend("fake").summary != "third party"
    assert load_plugins(blocked=["ikto"]).backend("fake").summary == "third party"


def test_what_a_plugin_prints_does_not_get_into_our_output(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.install("acme-ikto", "print('import')\n@hookimpl\ndef ikto_register_backends(): print('hook'); return ()")
    load_plugins()
    assert capsys.readouterr() == ("", "import\nhook\n")


def test_ctrl_c_is_no_fault_of_a_plugin(site: Site) -> None:
    site.install("acme-ikto", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_plugins()


@pytest.mark.parametrize("entry_points", ["[console_scripts]\nnonsense\n", "[ikto]\nnonsense\n"])
def test_a_distribution_with_broken_metadata_is_listed_and_harms_no_other(site: Site, entry_points: str) -> None:
    site.install("acme-ikto", TWO_KINDS)
    site.describe("broken-ikto", entry_points)
    plugins = load_plugins()
    assert [plugins.backend(name).name for name in ("acme", "fake")] == ["acme", "fake"]
    assert rows_of(plugins, "broken-ikto") == [("plugin", "broken-ikto", "failed")]
    (row,) = [row for row in plugins.listing() if row.status == "failed"]
    assert (row.version, row.reason.partition(":")[0]) == ("1.5", "its entry points can't be read")


def test_beside_broken_metadata_the_first_distribution_of_a_name_counts_as_ever(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("acme-ikto", TWO_KINDS)
    (tmp_path / "first").mkdir()
    first = Site(tmp_path / "first", monkeypatch)
    first.install("acme-ikto", '@hookimpl\ndef ikto_register_backends(): yield backend("other")')
    first.describe("broken-ikto", "[ikto]\nnonsense\n")
    assert rows_of(load_plugins(), "acme-ikto") == [("backend", "other", "ok")]


@pytest.mark.parametrize("metadata", [None, b"Name: \xff\n"])
def test_a_distribution_without_metadata_is_of_an_unknown_one(site: Site, metadata: bytes | None) -> None:
    site.describe("broken-ikto", "[ikto]\nacme = nothing_of_that_name\n", metadata=metadata)
    assert ("plugin", "acme", "failed") in rows_of(load_plugins(), "unknown")


def test_only_what_failed_and_conflicts_is_worth_a_warning(site: Site) -> None:
    site.install("acme-ikto", '@hookimpl\ndef ikto_register_backends(): yield backend("fake")')
    site.install("broken-ikto", "1 / 0")
    site.install("blocked-ikto", TWO_KINDS)
    told = [(row.distribution, row.status) for row in load_plugins(blocked=["blocked-ikto"]).troubles()]
    assert sorted(told) == [("acme-ikto", "conflict"), ("broken-ikto", "failed"), ("ikto", "conflict")]
