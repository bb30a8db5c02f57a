"""A contract kit in the hands of a plugin's author, who has nothing of our tests."""

import subprocess
import sys
from pathlib import Path

PLUGIN = """
    @pytest.fixture
    def plugin(self):
        return next(iter(offered()))
"""
"""What a class for `says` must have, unless that is what is missing."""


def says(directory: Path, kit: str, hook: str, body: str) -> str:
    """Run a kit as an author would, in a process of its own; return what pytest says.

    Args:
        directory: Where the author's test is written.
        kit: The kit's class in `ikto_core.testing`.
        hook: `module:function`, the hook that offers the plugin; `offered` in the body.
        body: Of the class that inherits the kit, indented by four.

    """
    module, _, function = hook.partition(":")
    (directory / "test_mine.py").write_text(
        "import pytest\n"
        "from hypothesis import settings\n"
        f"from {module} import {function} as offered\n"
        f"from ikto_core.testing import {kit}\n"
        f"class TestMine({kit}):\n"
        "    examples = settings(max_examples=2)\n"
        f"{body}"
    )
    options = ["-rs", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", "--rootdir", str(directory)]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(directory)],
        capture_output=True, text=True, check=False, timeout=60, cwd=directory,
    )  # fmt: skip
    return ran.stdout + ran.stderr
