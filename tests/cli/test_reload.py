"""SIGHUP applies the live settings of a configuration that can be used, and says what needs a restart."""

import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ikto_core.agent.live_settings import LiveSettings
from ikto_core.cli.reload import Reload
from ikto_core.config import Config, config_of
from ikto_core.config.types import LEVELS
from ikto_core.errors import ConfigError
from ikto_core.lab.agent_process import write_private
from ikto_core.values.keys import PrivateKey

RUNNING = {"private_address": "fd10:1::", "advertise_address": "192.0.2.1", "endpoints": ["192.0.2.1:7"]}


class Host:
    """A configuration file, and the agent that has read it."""

    def __init__(self) -> None:
        self.settings: dict[str, object] = dict(RUNNING)
        self.live = LiveSettings()
        self.levels: list[str] = []
        self._reload = Reload(self._load(), self._load, self.live, self.levels.append)

    def _load(self) -> Config:
        return config_of(**self.settings)

    def reload(self, **changes: object) -> dict[str, object]:
        """Change the file, reload, and return the only line of the log."""
        self.settings |= changes
        with capture_logs() as logs:
            self._reload.run()
        (line,) = logs
        return dict(line)


async def test_live_settings_are_applied_and_others_stay_as_they_are() -> None:
    host = Host()
    line = host.reload(endpoints=["192.0.2.2:7"], log_level="debug", lease="24h", nats_creds="/etc/x.creds")
    assert (line["event"], line["log_level"]) == ("configuration read again", "warning")
    assert line["applied"] == ["endpoints", "log_level"]
    assert line["restart_needed_for"] == ["nats_creds", "lease"]
    config = await host.live.changed()
    assert (config.endpoints, config.log_level, config.lease, config.nats_creds) == (("192.0.2.2:7",), "debug", "", "")
    again = host.reload()
    assert (again["applied"], again["restart_needed_for"]) == ([], ["nats_creds", "lease"])
    assert host.reload(lease="", nats_creds="")["log_level"] == "info"


@pytest.mark.parametrize(("before", "after"), [("info", "error"), ("error", "debug"), ("debug", "warning")])
def test_the_line_about_a_change_of_the_log_level_is_logged_at_the_lower_level(before: str, after: str) -> None:
    host = Host()
    host.reload(log_level=before)
    host.levels.clear()
    host.reload(log_level=after)
    assert host.levels == [min(before, after, key=LEVELS.index), after]


@pytest.mark.parametrize(
    "changes",
    [
        {"private_address": ""},
        {"endpoints": ["192.0.2.2:7"], "wg_port": 0},
        {"log_level": "all"},
        {"endpoints": ["[fd10:2::1]:7"]},
        {"endpoints": ["[fd10:2::1]:7"], "mesh_cidr": "fd11::/16", "private_address": "fd11:1::"},
    ],
    ids=["required", "beside a live one", "live", "in the mesh", "in the mesh of the running agent only"],
)
def test_a_configuration_that_can_not_be_used_is_one_warning_and_changes_nothing(changes: dict[str, object]) -> None:
    host = Host()
    line = host.reload(**changes)
    assert (line["event"], line["log_level"]) == ("configuration can't be used, nothing changes", "warning")
    assert line["problems"]
    assert (host.live.config, host.levels) == (None, [])
    assert host.reload(**RUNNING, wg_port=51820, log_level="info", mesh_cidr="fd10::/16")["applied"] == []


def test_a_file_that_is_gone_changes_nothing() -> None:
    def gone() -> Config:
        raise ConfigError("ikto.json: there is no such file")

    live = LiveSettings()
    with capture_logs() as logs:
        Reload(config_of(**RUNNING), gone, live, pytest.fail).run()
    assert [line["problems"] for line in logs] == [["ikto.json: there is no such file"]]
    assert live.config is None


AT_START = """
import asyncio, signal
import ikto_core.cli.agent_run as command
from ikto_core.cli.main import main

def load_private_key(path, load=command.load_private_key):
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.raise_signal(number)
    return load(path)

command.load_private_key = load_private_key
command.run_agent = lambda *_: asyncio.sleep(0)
main()
"""


def test_a_signal_that_comes_while_an_agent_starts_does_not_end_it(tmp_path: Path) -> None:
    write_private(tmp_path / "key", PrivateKey.generate().text)
    write_private(path := tmp_path / "c.json", f'{{"private_address": "auto", "private_key_path": "{tmp_path}/key"}}')
    command = [sys.executable, "-c", AT_START, "agent", "-c", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("configuration read again") == 1
    assert done.stderr.count("signal has no meaning") == 2
