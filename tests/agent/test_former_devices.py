"""A device whose name was changed is found again, and no device of anybody else."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.agent.former_devices import former_devices
from ikto_core.agent.locks import LOCK_NAME
from ikto_core.config import Config
from ikto_core.disk.lock_file import locked
from ikto_core.disk.state_file import SavedDevice, SavedState, StateFile
from tests.samples import KEY, OTHER_KEY, OWN_KEY

KEYS = {OWN_KEY, KEY}
SAVED = SavedDevice(ifname="wg0", public_key=OWN_KEY.text)
CONFIG = Config(private_address="auto", wg_dev_name="wg1", state_dir="/nowhere")


def test_the_device_of_the_state_file_is_a_former_one_if_it_has_another_name() -> None:
    assert former_devices(CONFIG, SAVED, KEYS) == ("wg0",)
    assert former_devices(CONFIG, replace(SAVED, ifname="wg1"), KEYS) == ()
    assert former_devices(CONFIG, None, KEYS) == ()


def test_a_device_in_another_network_namespace_is_out_of_reach() -> None:
    assert former_devices(CONFIG, replace(SAVED, netns="blue"), KEYS) == ()
    assert former_devices(replace(CONFIG, netns="blue"), replace(SAVED, netns="blue"), KEYS) == ("wg0",)


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A configuration without a state directory, which is `wg1` among others then."""
    monkeypatch.setattr(Config, "state_path", lambda config: tmp_path / config.wg_dev_name)
    return replace(CONFIG, state_dir="")


def test_devices_with_this_nodes_key_are_found_in_the_state_directories_beside(beside: Config, tmp_path: Path) -> None:
    for name, key in (("wg0", OWN_KEY), ("wg2", KEY), ("wg3", OTHER_KEY), ("wg1", OWN_KEY)):
        StateFile(tmp_path / name).save(SavedState(device=replace(SAVED, ifname=name, public_key=key.text)))
    StateFile(tmp_path / "wg4").save(SavedState())
    (tmp_path / "wg5").mkdir()
    (tmp_path / "wg5" / "state.json").write_text("{junk")
    assert former_devices(beside, None, KEYS) == ("wg0", "wg2")
    assert former_devices(replace(beside, state_dir=str(tmp_path / "wg1")), None, KEYS) == ()


def test_a_device_that_an_agent_uses_now_is_not_a_former_one(beside: Config, tmp_path: Path) -> None:
    StateFile(tmp_path / "wg0").save(SavedState(device=SAVED))
    with locked(tmp_path / "wg0" / LOCK_NAME, "it"):
        assert former_devices(beside, None, KEYS) == ()
    assert former_devices(beside, None, KEYS) == ("wg0",)
