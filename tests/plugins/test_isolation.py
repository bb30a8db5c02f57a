"""Plugins are isolated from each other and from Ikto, and can be blocked."""

import os
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


def test_a_third_party_observer_is_available(site: Site) -> None:
    site.install("acme-ikto", TWO_KINDS)
    assert load_plugins().observer("acme-watch").summary == "watches"


@pytest.mark.parametrize("name", ["acme-ikto", "Acme_Ikto", "acme.ikto", "entry"])
def test_a_blocked_distribution_or_entry_point_is_not_imported(site: Site, name: str) -> None:
    site.install("acme-ikto", TWO_KINDS, entry="entry")
    plugins = load_plugins(blocked=[name])
    assert not site.imported("acme-ikto")
    expected = PluginStatus(
        kind="plugin",
        name="entry",
        distribution="acme-ikto",
        version="1.5",
        status="blocked",
        reason=f"`blocked_plugins` names {name!r}",
    )
    assert expected in plugins.listing()
    with pytest.raises(PluginError, match=r"there is no backend 'acme'; available: fake") as caught:
        plugins.backend("acme")
    assert "run `ikto plugins` to see why 'entry' can't be used" in caught.value.hint


def test_requesting_a_blocked_plugin_is_an_error_that_says_so(site: Site) -> None:
    site.install("acme-ikto", TWO_KINDS, entry="acme")
    with pytest.raises(PluginError, match=r"backend 'acme' of acme-ikto 1\.5 .* is blocked: .*names 'acme'") as caught:
        load_plugins(blocked=["acme"]).backend("acme")
    assert (caught.value.exit_code, caught.value.hint) == (7, "remove it from `blocked_plugins` to use it")


def test_one_offer_of_a_plugin_can_be_blocked(site: Site) -> None:
    site.install("acme-ikto", TWO_KINDS)
    plugins = load_plugins(blocked=["acme"])
    assert rows_of(plugins, "acme-ikto") == [("backend", "acme", "blocked"), ("observer", "acme-watch", "ok")]
    assert plugins.observer("acme-watch").name == "acme-watch"
    with pytest.raises(PluginError, match="is blocked"):
        plugins.backend("acme")


def test_blocking_one_of_two_conflicting_plugins_resolves_the_conflict(site: Site) -> None:
    site.install("acme-ikto", '@hookimpl\ndef ikto_register_backends(): yield backend("fake")', entry="fake")
    assert load_plugins(blocked=["acme-ikto"]).backend("fake").summary != "third party"
    assert load_plugins(blocked=["ikto"]).backend("fake").summary == "third party"


def test_what_a_plugin_prints_goes_to_stderr(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.install("acme-ikto", "print('import')\n@hookimpl\ndef ikto_register_backends(): print('hook'); return ()")
    load_plugins().listing()
    assert capsys.readouterr() == ("", "import\nhook\n")


@pytest.mark.parametrize(
    "write", ["os.write(1, b'noise')", "import subprocess; subprocess.run(['echo', 'noise'])", "print('noise')"]
)
def test_what_a_plugin_writes_by_number_goes_to_stderr_too(
    site: Site, write: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """So that `ikto plugins --json` prints JSON alone."""
    site.install("acme-ikto", f"import os\n{write}\n@hookimpl\ndef ikto_register_backends(): return ()")
    load_plugins().listing()
    os.write(1, b"{}")
    out, err = capfd.readouterr()
    assert out == "{}"
    assert err.strip() == "noise"


def test_ctrl_c_is_not_reported_as_a_fault_of_a_plugin(site: Site) -> None:
    site.install("acme-ikto", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_plugins().listing()


@pytest.mark.parametrize("entry_points", ["[console_scripts]\nnonsense\n", "[ikto]\nnonsense\n"])
def test_a_distribution_with_broken_metadata_is_listed_and_does_not_affect_others(
    site: Site, entry_points: str
) -> None:
    site.install("acme-ikto", TWO_KINDS)
    site.describe("broken-ikto", entry_points)
    plugins = load_plugins()
    assert [plugins.backend(name).name for name in ("acme", "fake")] == ["acme", "fake"]
    assert rows_of(plugins, "broken-ikto") == [("plugin", "broken-ikto", "failed")]
    (row,) = [row for row in plugins.listing() if row.status == "failed"]
    assert (row.version, row.reason.partition(":")[0]) == ("1.5", "its entry points can't be read")


def test_with_broken_metadata_present_the_first_distribution_of_a_name_still_wins(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("acme-ikto", TWO_KINDS)
    (tmp_path / "first").mkdir()
    first = Site(tmp_path / "first", monkeypatch)
    first.install("acme-ikto", '@hookimpl\ndef ikto_register_backends(): yield backend("other")')
    first.describe("broken-ikto", "[ikto]\nnonsense\n")
    assert rows_of(load_plugins(), "acme-ikto") == [("backend", "other", "ok")]


@pytest.mark.parametrize("metadata", [None, b"Name: \xff\n"])
def test_a_distribution_without_metadata_is_listed_as_unknown(site: Site, metadata: bytes | None) -> None:
    site.describe("broken-ikto", "[ikto]\nacme = nothing_of_that_name\n", metadata=metadata)
    assert ("plugin", "acme", "failed") in rows_of(load_plugins(), "unknown")


def test_problems_are_what_failed_and_conflicts(site: Site) -> None:
    site.install("acme-ikto", '@hookimpl\ndef ikto_register_backends(): yield backend("fake")')
    site.install("broken-ikto", "1 / 0")
    site.install("blocked-ikto", TWO_KINDS)
    problems = [(row.distribution, row.status) for row in load_plugins(blocked=["blocked-ikto"]).problems()]
    assert sorted(problems) == [("acme-ikto", "conflict"), ("broken-ikto", "failed")]
