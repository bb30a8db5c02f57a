"""The repository has no file that it ignores, such as a link to an environment: a merge would replace the real one."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
@pytest.mark.skipif(shutil.which("git") is None, reason="not installed: git")
def test_no_ignored_file_and_no_link_is_tracked() -> None:
    def listed(*arguments: str) -> str:
        return subprocess.run(
            ["git", "ls-files", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout

    assert listed("--cached", "--ignored", "--exclude-standard") == ""
    assert [line for line in listed("--stage").splitlines() if line.startswith("120000")] == []
