"""`ikto status` says what there is not: a claim, a view of the bucket, a mesh on disk."""

from msgspec.structs import replace

from ikto_core.admin.views import AgentState, LeaseView, SnapshotView
from ikto_core.values.counters import LeaseCounters
from tests.cli.test_status import NOW, STATUS, plain


def test_a_kept_mesh_is_told_with_its_age() -> None:
    shown = SnapshotView(in_use=True, revision=40, saved_at=NOW - 7200, failure=None)
    text = plain(replace(STATUS, kept=shown, revision=40, bucket_revision=0))
    assert "revision    device shows 40; the bucket is not in view yet\n" in text
    assert "kept mesh   shown until NATS is there: revision 40, saved 2 h ago\n" in text
    failing = SnapshotView(in_use=False, revision=40, saved_at=NOW - 7200, failure="No space left on device")
    assert "kept mesh   revision 40, saved 2 h ago, can't be written: No space left on device\n" in plain(
        replace(STATUS, kept=failing)
    )


def test_no_kept_mesh_is_told_too() -> None:
    nothing = SnapshotView(in_use=True, revision=None, saved_at=None, failure=None)
    assert "kept mesh   there is none\n" in plain(replace(STATUS, kept=nothing))


def test_before_the_claim_it_says_so() -> None:
    view = replace(STATUS, state=AgentState.CLAIMING, private_address=None, allowed_ip=None, revision=None, device=None)
    text = plain(view)
    assert "address     none claimed yet\n" in text
    assert "revision    device shows nothing of 41\n" in text


def test_a_lease_is_told_with_its_age_and_what_it_lacks() -> None:
    assert "lease" not in plain(STATUS)
    assert "lease       600 s\n" in plain(replace(STATUS, lease=LeaseView(lease_s=600, failure="", refusal="")))
    renewed = LeaseView(lease_s=600, renewed_at=NOW - 150, failure="", refusal="")
    counters = replace(STATUS.counters, lease=LeaseCounters(renewals=9, records_removed=2))
    text = plain(replace(STATUS, lease=renewed, counters=counters))
    assert "lease       600 s, renewed 2 min ago; 2 removed of nodes that are gone\n" in text
    lacking = plain(replace(STATUS, lease=LeaseView(lease_s=600, failure="no answer", refusal="denied")))
    assert "lease       600 s, not renewed: no answer; can't remove records of others: denied\n" in lacking
