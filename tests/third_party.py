"""Run a contract kit as a plugin's author would: in a separate process, without Ikto's own tests."""

import subprocess
import sys
from pathlib import Path

PLUGIN = """
    @pytest.fixture
    def plugin(self):
        return next(iter(hook()))
"""
"""The fixture that a kit needs, for the body of `run_kit`."""


def run_kit(directory: Path, kit: str, hook: str, body: str, *more: str) -> str:
    """Run a kit in a separate process; return pytest's output.

    Args:
        directory: Where the author's test file is written.
        kit: The kit's class in `ikto_core.testing`.
        hook: `module:function`, the hook that returns the plugin; the body calls it `hook`.
        body: The body of the class that inherits the kit, indented by four spaces.
        more: Options of pytest.

    """
    module, _, function = hook.partition(":")
    (directory / "test_mine.py").write_text(
        "import pytest\n"
        "from hypothesis import settings\n"
        f"from {module} import {function} as hook\n"
        f"from ikto_core.testing import {kit}\n"
        f"class TestMine({kit}):\n"
        "    examples = settings(max_examples=2)\n"
        f"{body}"
    )
    options = ["-rs", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", "--rootdir", str(directory)]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *more, str(directory)],
        capture_output=True, text=True, check=False, timeout=240, cwd=directory,
    )  # fmt: skip
    return ran.stdout + ran.stderr
