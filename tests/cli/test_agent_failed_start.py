"""An agent that can't start says why in one line, and nothing else of it is left."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ikto_core.values.keys import PrivateKey
from tests.plugin_site import Site

PLUGIN = """
from contextlib import asynccontextmanager

@asynccontextmanager
async def none(context):
    yield None

@hookimpl
def ikto_register_backends():
    yield BackendPlugin(name="none", summary="", open=none)
"""


def start(directory: Path, backend: str) -> subprocess.CompletedProcess[str]:
    """Start an agent whose NATS server refuses connections, under a service manager."""
    key, config = directory / "key", directory / "config.json"
    for path in (key, config):
        path.touch(mode=0o600)
    key.write_text(PrivateKey(bytes([8, *([7] * 30), 64])).text)
    settings = {
        "name": "node-1", "mesh_cidr": "fd10::/16", "subnet_prefix": 48, "private_address": "auto", "nats_kv": "mesh",
        "nats_url": "nats://127.0.0.1:1", "wg_dev_name": "wg0", "wg_port": 51820, "private_key_path": str(key),
        "advertise_address": "192.0.2.1", "state_dir": str(directory / "state"), "backend": backend,
    }  # fmt: skip
    config.write_text(json.dumps(settings))
    program = [sys.executable, "-X", "dev", "-W", "always", "-c", "from ikto_core.cli.main import main; main()"]
    return subprocess.run(
        [*program, "agent", "-c", str(config), "-s", str(directory / "socket")],
        env=os.environ | {"NOTIFY_SOCKET": str(directory / "notify"), "PYTHONPATH": str(directory / "site")},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.slow
def test_no_coroutine_is_left_behind(tmp_path: Path) -> None:
    ran = start(tmp_path, "fake")
    assert (ran.returncode, ran.stderr.count("can't be reached")) == (5, 1)
    assert "never awaited" not in ran.stderr


def test_an_open_that_yields_none_names_the_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    Site(tmp_path / "site", monkeypatch).install("acme-ikto", PLUGIN)
    ran = start(tmp_path, "none")
    assert ran.returncode == 7
    assert "ikto: backend 'none' of acme-ikto 1.5 (entry point 'acme-ikto') failed: `open` yielded None" in ran.stderr
