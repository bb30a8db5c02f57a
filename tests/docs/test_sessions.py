"""The shell sessions of the operator's pages are run, command by command, and show what the pages say."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from ikto_core.demo.capabilities import obstacle, probe_machine
from tests.docs.old_mesh import old_mesh
from tests.docs.sandbox import Hosts, hosts, hosts_with_tunnels
from tests.docs.sessions import NO_COMMANDS, Command, blocks, commands, hosts_of, with_bases
from tools.documents import ROOT

PAGES = [page for page in sorted((ROOT / "docs").glob("*.md")) if "\n```console\n" in page.read_text()]
BASES = {each for page in PAGES for each in with_bases(page) if each != page}
LAST = [page for page in PAGES if page not in BASES]
"""The pages that no other page continues. The sessions of all the others are run for these."""
WITH_TUNNELS = [page for page in PAGES if any(block.needs_tunnels for block in blocks(page.read_text()))]
OBSTACLE = obstacle(probe_machine(), "wgtool")
PREPARED = {"from-0.3.0.md": old_mesh}
"""What is there before the first command of a page."""
OPERATORS_PAGES = {"backup.md", "from-0.3.0.md", "install.md", "nats-users.md", "node-life.md", "upgrade.md"}


def names_of(sessions: Iterable[list[Command]]) -> set[str]:
    """Return the names of the hosts in sessions."""
    return {name for session in sessions for command in session for name in hosts_of(command)}


def nothing(_: Hosts) -> None:
    """Prepare nothing."""


@pytest.mark.slow
@pytest.mark.timeout(900)  # a hundred commands, each in an interpreter of its own, on a busy machine
@pytest.mark.parametrize("page", LAST, ids=lambda page: page.name)
def test_the_sessions_of_a_page_show_what_it_says(page: Path) -> None:
    sessions = {each: commands(each.read_text()) for each in with_bases(page)}
    with hosts(names_of(sessions.values())) as sandbox:
        PREPARED.get(page.name, nothing)(sandbox)
        for each, session in sessions.items():
            sandbox.run(each.name, session)


@pytest.mark.tunnels
@pytest.mark.timeout(900)
@pytest.mark.skipif(bool(OBSTACLE), reason=f"no real tunnels here: {OBSTACLE}")
@pytest.mark.parametrize("page", WITH_TUNNELS, ids=lambda page: page.name)
def test_the_sessions_of_a_page_show_what_it_says_with_real_tunnels(page: Path) -> None:
    sessions = {each: commands(each.read_text(), tunnels=True) for each in with_bases(page)}
    with hosts_with_tunnels(names_of(sessions.values())) as sandbox:
        for each, session in sessions.items():
            sandbox.run(each.name, session)


def test_the_operators_pages_have_sessions_and_all_are_run() -> None:
    assert {page.name for page in PAGES} >= OPERATORS_PAGES
    assert {each for page in LAST for each in with_bases(page)} == set(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    for block in blocks(page.read_text()):
        if block.language == "console":
            assert not block.reason, f"line {block.line} is run"
        elif block.language == "sh":
            assert block.reason, f"line {block.line}: no reason"
        else:
            assert block.language in NO_COMMANDS, f"line {block.line}: not {('console', 'sh', *NO_COMMANDS)}"
            assert not re.search(r"^(ikto|\S+[$#]) ", block.text, re.MULTILINE), f"line {block.line}: a command"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_in_blocks_that_say_whether_they_are_run(page: Path) -> None:
    assert not re.search(r"\n\n {4}\S", page.read_text()), "an indented block says neither"
