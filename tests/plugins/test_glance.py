"""A glance at what is installed says whether commands may come from there, and says yes where it can't know."""

import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from ikto_core.plugins.glance import may_bring_commands


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory on Python's path, with one distribution that brings no command."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing")])
    monkeypatch.setattr(sys, "meta_path", [PathFinder])
    install(tmp_path, "other-1.0.dist-info", "[console_scripts]\nikto.commands = x\n[ikto.backends]\nx = y\n")
    return tmp_path


def install(site: Path, name: str, entry_points: str) -> None:
    (site / name).mkdir()
    (site / name / "entry_points.txt").write_text(entry_points)


@pytest.mark.usefixtures("site")
def test_what_brings_no_command_is_not_looked_at_again() -> None:
    assert not may_bring_commands()


@pytest.mark.parametrize("group", ["[ikto.commands]", "[ikto]", " [ ikto.commands ]", "[x]\r[ikto]", "[[ikto]]\xa0"])
@pytest.mark.parametrize("name", ["acme-1.0.dist-info", "acme.egg-info", "Acme-1.0.DIST-INFO"])
def test_an_entry_point_that_may_be_a_command_is_seen(site: Path, name: str, group: str) -> None:
    install(site, name, f"{group}\nacme = acme\n")
    assert may_bring_commands()


def test_a_distribution_without_entry_points_brings_none(site: Path) -> None:
    (site / "plain-1.0.dist-info").mkdir()
    (site / "old.egg-info").write_text("Name: old\n")
    assert not may_bring_commands()


def test_what_can_not_be_known_may_bring_commands(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "archive.zip").write_bytes(b"")
    for unknown in (site / "archive.zip", site / "eggs"):
        monkeypatch.setattr(sys, "path", [str(site), str(unknown)])
        if unknown.name == "eggs":
            (unknown / "acme-1.0.egg").mkdir(parents=True)
        assert may_bring_commands()


def test_a_finder_of_distributions_is_asked(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        def find_spec(self, *_: object) -> None:
            """Find nothing."""

        def find_distributions(self, *_: object) -> list[object]:
            return []

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert site.exists()
    assert may_bring_commands()
