"""The manual pages say what the commands' texts of help say, and are valid."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ikto_core.cli.exit_codes import DIFFERS, FAILED_CHECK
from ikto_core.cli.main import COMMANDS
from tests.cli.test_main import EVERY_COMMAND
from tools.man import STATUS, pages

DIRECTORY = Path(__file__).parents[2] / "packaging/man"
PAGES = pages()


def test_there_is_a_page_for_each_command_and_no_other() -> None:
    assert {path.name for path in DIRECTORY.iterdir()} == {"ikto.1", *(f"ikto-{name}.1" for name in COMMANDS)}


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_a_page_has_every_option_and_example_of_its_command(name: str) -> None:
    text = PAGES[f"ikto-{name.split(maxsplit=1)[0]}.1"].replace("\\-", "-")
    for parameter in EVERY_COMMAND[name].params:
        assert all(option in text for option in parameter.opts if option.startswith("-"))
    examples = (EVERY_COMMAND[name].epilog or "").splitlines()[2:]
    assert examples
    assert all(line.strip() in text for line in examples)


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_valid_roff(page: str) -> None:
    checked = subprocess.run(
        ["groff", "-ww", "-man", "-Tutf8", "-z", DIRECTORY / page], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_exit_codes_are_those_of_the_docs() -> None:
    operations = (DIRECTORY.parents[1] / "docs/operations.md").read_text()
    listed = re.findall(r"^\| (\d+) \|", operations, re.MULTILINE)
    assert [code for code, _ in STATUS] == listed
    assert {str(DIFFERS), str(FAILED_CHECK)} <= set(listed)


def test_nothing_in_a_text_is_taken_for_a_request() -> None:
    for text in PAGES.values():
        for line in text.splitlines():
            assert not line.startswith("'")
            assert not line.startswith(".") or re.match(r'\.(\\"|TH|SH|SS|TP|PP|B|nf|fi)\b|\.\\"', line)
