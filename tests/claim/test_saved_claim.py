"""A saved claim is valid for the key that made it, and for the next key."""

from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.agent.from_config import local_node
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.config import Config
from ikto_core.disk.state_file import MAX_KEYS, StateFile
from ikto_core.values.keys import PublicKey
from tests.samples import KEY, OTHER_KEY, OWN_KEY

NODE = local_node(Config(private_address="auto", mesh_cidr="10.0.0.0/24", subnet_prefix=28))
ADDRESS = "10.0.0.18"


def saved_claim(state_dir: Path, key: PublicKey = OWN_KEY) -> SavedClaim:
    """Return the saved claim as the next run with this key reads it."""
    return SavedClaim(NODE, key, StateFile(state_dir))


def save_announced(state_dir: Path) -> None:
    """Save the state of a run that claimed, and then announced the key `KEY`."""
    before = saved_claim(state_dir)
    before.add_instance("run")
    before.save(ADDRESS)
    assert before.add_next_key(KEY)


@pytest.mark.parametrize("key", [OWN_KEY, KEY], ids=str)
def test_a_claim_is_valid_for_the_present_key_and_the_next(tmp_path: Path, key: PublicKey) -> None:
    save_announced(tmp_path)
    found = saved_claim(tmp_path, key)
    assert found.address == ADDRESS
    assert found.claim
    assert found.claim.public_key == key.text
    assert found.other_keys == {OWN_KEY, KEY} - {key}
    assert found.instances == {"run"}


def test_a_claim_is_not_valid_for_a_key_that_was_never_announced(tmp_path: Path) -> None:
    save_announced(tmp_path)
    found = saved_claim(tmp_path, OTHER_KEY)
    assert found.claim is None
    assert found.other_keys == frozenset()


def test_a_claim_of_the_previous_key_has_no_differences(tmp_path: Path) -> None:
    save_announced(tmp_path)
    saved = saved_claim(tmp_path).claim
    assert saved
    found = saved_claim(tmp_path, KEY)
    assert found.differences(saved) == []
    assert found.differences(replace(saved, public_key=OTHER_KEY.text)) != []


def test_the_keys_are_kept_when_a_claim_is_saved_with_the_new_one(tmp_path: Path) -> None:
    save_announced(tmp_path)
    saved_claim(tmp_path, KEY).save(ADDRESS)
    assert saved_claim(tmp_path, OWN_KEY).address == ADDRESS  # a key file that was put back


def test_add_next_key_returns_false_if_the_state_file_cannot_be_written(tmp_path: Path) -> None:
    found = saved_claim(tmp_path / "state")
    (tmp_path / "state").write_text("a file in place of the directory")
    assert not found.add_next_key(KEY)


def test_keys_of_earlier_rotations_are_own_keys_except_the_oldest(tmp_path: Path) -> None:
    keys = [PublicKey(bytes([number + 1] * 32)) for number in range(MAX_KEYS + 2)]
    for present, following in pairwise(keys):
        assert saved_claim(tmp_path, present).add_next_key(following)
    assert saved_claim(tmp_path, keys[-1]).other_keys == set(keys[2:-1])


def test_keys_before_a_key_file_that_was_replaced_by_hand_are_not_own_keys(tmp_path: Path) -> None:
    save_announced(tmp_path)
    saved_claim(tmp_path, OTHER_KEY).add_next_key(PublicKey(bytes([9] * 32)))
    assert saved_claim(tmp_path, OTHER_KEY).other_keys == {PublicKey(bytes([9] * 32))}


def test_a_device_is_known_by_every_key_that_this_node_has_used(tmp_path: Path) -> None:
    """Also by one of a run that ended before it had claimed anything, and after the key file was replaced by hand."""
    first = saved_claim(tmp_path)
    assert first.device_keys == {OWN_KEY}
    first.save_device("")
    assert saved_claim(tmp_path, KEY).device_keys == {OWN_KEY, KEY}
    first.save(ADDRESS)
    second = saved_claim(tmp_path, KEY)
    second.save_device("")
    assert saved_claim(tmp_path, OTHER_KEY).device_keys == {OWN_KEY, KEY, OTHER_KEY}


def test_a_damaged_key_of_a_device_is_no_key(tmp_path: Path) -> None:
    saved_claim(tmp_path).save_device("")
    path = StateFile(tmp_path).path
    path.write_bytes(path.read_bytes().replace(OWN_KEY.text.encode(), b"junk"))
    assert saved_claim(tmp_path, KEY).device_keys == {KEY}
