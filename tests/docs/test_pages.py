"""What the docs name exists."""

import re
from pathlib import Path

import pytest

from ikto_core.cli import exit_codes
from ikto_core.cli.main import COMMANDS
from ikto_core.config import SETTINGS
from ikto_core.errors import (
    AddressInUseError,
    BackendError,
    ConfigError,
    IktoError,
    LeftMeshError,
    NatsError,
    NotEntitledError,
    PluginError,
)

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    for path, function in NAMED_TEST.findall(page.read_text()):
        assert (ROOT / path).exists(), path
        assert not function or f"def {function}(" in (ROOT / path).read_text(), f"{path}::{function}"


def test_promises_and_lessons_name_tests() -> None:
    assert len(NAMED_TEST.findall((ROOT / "docs/promises.md").read_text())) > 15
    rows = re.findall(r"^\| (?!what happened).+ \|$", (ROOT / "docs/lessons.md").read_text(), re.MULTILINE)
    assert len(rows) > 20
    for row in rows:
        assert any(function for _, function in NAMED_TEST.findall(row)), row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        text = (page.parent / target).read_text() if target else page.read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert anchor in slugs, f"{target}#{anchor}"


def test_every_member_of_the_configuration_is_described() -> None:
    described = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
    assert described == list(SETTINGS)


def test_every_exit_code_is_listed() -> None:
    listed = {
        int(code) for code in re.findall(r"^\| (\d+) \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    }
    classes = (IktoError, ConfigError, AddressInUseError, NatsError, BackendError, PluginError, NotEntitledError)
    found = {code for name, code in vars(exit_codes).items() if name.isupper()}
    assert listed == {0, 2, LeftMeshError.exit_code} | {error.exit_code for error in classes} | found


def test_every_command_that_the_readme_uses_exists() -> None:
    used = set(re.findall(r"^\s+ikto (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert used <= set(COMMANDS)
