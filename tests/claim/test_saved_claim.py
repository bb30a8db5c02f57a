"""A claim is kept for the key that made it, and for the one that was to follow."""

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
    """Return the claims as the next run with this key finds them."""
    return SavedClaim(NODE, key, StateFile(state_dir))


def rotated(state_dir: Path) -> None:
    """Leave what a run leaves that claimed, and then announced another key."""
    before = saved_claim(state_dir)
    before.add_instance("run")
    before.save(ADDRESS)
    assert before.add_next_key(KEY)


@pytest.mark.parametrize("key", [OWN_KEY, KEY], ids=str)
def test_a_claim_holds_for_the_present_key_and_the_next(tmp_path: Path, key: PublicKey) -> None:
    rotated(tmp_path)
    found = saved_claim(tmp_path, key)
    assert found.address == ADDRESS
    assert found.claim
    assert found.claim.public_key == key.text
    assert found.other_keys == {OWN_KEY, KEY} - {key}
    assert found.instances == {"run"}


def test_a_claim_does_not_hold_for_a_key_that_was_never_announced(tmp_path: Path) -> None:
    rotated(tmp_path)
    found = saved_claim(tmp_path, OTHER_KEY)
    assert found.claim is None
    assert found.other_keys == frozenset()


def test_a_mesh_that_was_kept_with_the_key_before_is_ours(tmp_path: Path) -> None:
    rotated(tmp_path)
    kept = saved_claim(tmp_path).claim
    assert kept
    found = saved_claim(tmp_path, KEY)
    assert found.differences(kept) == []
    assert found.differences(replace(kept, public_key=OTHER_KEY.text)) != []


def test_the_keys_outlive_the_claim_that_is_made_with_the_new_one(tmp_path: Path) -> None:
    rotated(tmp_path)
    saved_claim(tmp_path, KEY).save(ADDRESS)
    assert saved_claim(tmp_path, OWN_KEY).address == ADDRESS  # a key file that was put back


def test_a_key_that_can_not_be_kept_is_not_announced(tmp_path: Path) -> None:
    found = saved_claim(tmp_path / "state")
    (tmp_path / "state").write_text("in the way of a directory")
    assert not found.add_next_key(KEY)


def test_the_keys_before_earlier_rotations_are_ours_too_but_for_the_oldest(tmp_path: Path) -> None:
    keys = [PublicKey(bytes([number + 1] * 32)) for number in range(MAX_KEYS + 2)]
    for present, following in pairwise(keys):
        assert saved_claim(tmp_path, present).add_next_key(following)
    assert saved_claim(tmp_path, keys[-1]).other_keys == set(keys[2:-1])


def test_the_keys_before_a_key_that_was_put_there_by_hand_are_not_ours(tmp_path: Path) -> None:
    rotated(tmp_path)
    saved_claim(tmp_path, OTHER_KEY).add_next_key(PublicKey(bytes([9] * 32)))
    assert saved_claim(tmp_path, OTHER_KEY).other_keys == {PublicKey(bytes([9] * 32))}
