"""The plugin in examples/template, which authors copy, works: as its entry point says, and with its own tests."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.plugin_site import Site

TEMPLATE = Path(__file__).parents[2] / "examples" / "template"


@pytest.mark.slow
def test_the_template_passes_its_own_tests(site: Site, tmp_path: Path) -> None:
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())["project"]
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in each.items()) for group, each in groups]
    site.describe(project["name"], "\n".join(lines))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", str(TEMPLATE / "pyproject.toml")]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(TEMPLATE), str(site.path), str(TEMPLATE.parents[1])])}
    command.append(str(TEMPLATE))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
