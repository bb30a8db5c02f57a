"""A node signs its records with the key that they name, and with a serial that grows over restarts and lost disks."""

from pathlib import Path
from random import Random

from msgspec.structs import replace

from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.claim.signing import RecordSigner
from ikto_core.disk.state_file import StateFile
from ikto_core.mesh.proofs import Proof, judge
from ikto_core.mesh.successions import succeeds
from tests.claim.test_saved_claim import NODE
from tests.samples import KEYS, OWN_KEY, PRIVATE_KEYS, record

RECORD = record("10.0.0.16/28", OWN_KEY)


def signer(state_dir: Path, now_ms: int = 1000, key: int = 0) -> RecordSigner:
    saved_claim = SavedClaim(NODE, KEYS[key], StateFile(state_dir))
    return RecordSigner(PRIVATE_KEYS[key], "ikto-mesh", saved_claim, Random(1), lambda: now_ms)


def proof_of(value: bytes) -> Proof:
    proof = judge("ikto-mesh", RECORD.key, value).proof
    assert proof
    return proof


def test_the_serial_grows_with_each_write_and_over_a_restart(tmp_path: Path) -> None:
    first = signer(tmp_path)
    assert [proof_of(first.value(RECORD)).serial for _ in range(2)] == [1000, 1001]
    assert proof_of(signer(tmp_path, now_ms=5).value(RECORD)).serial == 1002


def test_without_its_state_file_a_node_goes_on_after_the_clock_and_after_what_the_bucket_has(tmp_path: Path) -> None:
    assert proof_of(signer(tmp_path / "lost").value(RECORD, 7)).serial == 1000
    assert proof_of(signer(tmp_path / "again").value(RECORD, 2000)).serial == 2001


def test_a_record_is_signed_by_the_key_that_it_names(tmp_path: Path) -> None:
    rotating = signer(tmp_path)
    rotating.add_key(PRIVATE_KEYS[1])
    renamed = replace(RECORD, public_key=KEYS[1])
    assert proof_of(rotating.value(RECORD)).public_key == OWN_KEY
    assert proof_of(rotating.value(renamed)).public_key == KEYS[1]


def test_a_record_tells_which_keys_its_own_key_follows(tmp_path: Path) -> None:
    before = proof_of(signer(tmp_path).value(RECORD))
    signer(tmp_path).save_succession(KEYS[1], RECORD.key)
    signer(tmp_path, key=1).save_succession(KEYS[2], RECORD.key)
    after = proof_of(signer(tmp_path, key=2).value(replace(RECORD, public_key=KEYS[2])))
    assert succeeds(after, before, "ikto-mesh", RECORD.key)
    for key in (3, 4, 3, 4):
        signer(tmp_path, key=key).save_succession(KEYS[0], RECORD.key)
    latest = proof_of(signer(tmp_path).value(RECORD))
    assert len(latest.successions) == 4
    assert not signer(tmp_path)._saved_claim.successions("another KV key")
