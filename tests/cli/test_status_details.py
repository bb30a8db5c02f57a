"""`ikto status` on an agent that works from its snapshot, has no claim yet, or has a lease."""

from msgspec.structs import replace

from ikto_core.admin.mesh_views import UnreachableView
from ikto_core.admin.views import AgentState, CredentialsView, LeaseView, NatsView, ObserverView, SnapshotView
from ikto_core.cli.tables import LONGEST_CELL
from ikto_core.device.bounded_backend import STUCK_HINT
from ikto_core.values.counters import LeaseCounters, ObserverCounters
from ikto_core.values.times import utc
from tests.cli.test_status import NOW, STATUS, plain


def test_a_snapshot_in_use_is_shown_with_its_age() -> None:
    in_use = SnapshotView(in_use=True, revision=40, saved_at=utc(NOW - 7200), failure=None)
    text = plain(replace(STATUS, snapshot=in_use, revision=40, bucket_revision=0))
    assert "revision    device at 40; bucket not read yet\n" in text
    assert "snapshot    in use until NATS answers: revision 40, saved 2 h ago\n" in text
    failing = SnapshotView(in_use=False, revision=40, saved_at=utc(NOW - 7200), failure="No space left on device")
    assert "snapshot    revision 40, saved 2 h ago, can't be written: No space left on device\n" in plain(
        replace(STATUS, snapshot=failing)
    )


def test_a_missing_snapshot_is_shown() -> None:
    nothing = SnapshotView(in_use=True, revision=None, saved_at=None, failure=None)
    assert "snapshot    none\n" in plain(replace(STATUS, snapshot=nothing))


def test_before_the_claim_no_address_is_shown() -> None:
    view = replace(STATUS, state=AgentState.CLAIMING, private_address=None, allowed_ip=None, revision=None, device=None)
    text = plain(view)
    assert "address     none claimed yet\n" in text
    assert "revision    device at none of 41\n" in text


def test_a_lease_is_shown_with_its_last_renewal_and_failures() -> None:
    assert "lease" not in plain(STATUS)
    assert "lease       600 s\n" in plain(replace(STATUS, lease=LeaseView(lease_s=600, failure="", refusal="")))
    renewed = LeaseView(lease_s=600, renewed_at=utc(NOW - 150), failure="", refusal="")
    counters = replace(STATUS.counters, lease=LeaseCounters(renewals=9, records_removed=2))
    text = plain(replace(STATUS, lease=renewed, counters=counters))
    assert "lease       600 s, renewed 2 min ago; removed 2 expired records\n" in text
    failing = plain(replace(STATUS, lease=LeaseView(lease_s=600, failure="no answer", refusal="denied")))
    assert "lease       600 s, renewal failed: no answer; can't remove expired records: denied\n" in failing


def test_credentials_are_shown_when_something_is_to_be_done_about_them() -> None:
    fine = CredentialsView(expires_at=utc(NOW + 90 * 86400), expires_soon=False, failure=None)
    assert "NATS user" not in plain(replace(STATUS, credentials=fine))
    soon = replace(fine, expires_at=utc(NOW + 1.5 * 86400), expires_soon=True)
    assert "NATS user   the JWT expires in 1.5 days\n" in plain(replace(STATUS, credentials=soon))
    late = replace(soon, expires_at=utc(NOW - 60), failure="no right")
    assert "NATS user   no right; the JWT has expired\n" in plain(replace(STATUS, credentials=late))
    useless = CredentialsView(expires_at=None, expires_soon=False, failure="no right")
    assert "NATS user   no right\n" in plain(replace(STATUS, credentials=useless))


def test_peers_without_a_usable_endpoint_are_listed_with_the_reason() -> None:
    assert "usable endpoint" not in plain(STATUS)
    reason = "[2001:db8::1]:51820: this host has no route to it"
    peer = UnreachableView(public_key="A" * 44, name="node-4", reason=reason)
    text = plain(replace(STATUS, unreachable_endpoints=(peer,)))
    assert f"Peers without a usable endpoint (1):\n  node-4  AAAAAAAA  {reason}\n" in text


def test_hints_are_shown_and_never_cut() -> None:
    shown = plain(replace(STATUS, device_failure="stuck", device_hint=STUCK_HINT))
    assert f"hint        {STUCK_HINT}\n" in shown
    assert len(STUCK_HINT) > LONGEST_CELL
    nats = NatsView(connected=False, server=None, failure="denied", hint="permit it")
    assert "NATS        not connected: denied\nhint        permit it\n" in plain(replace(STATUS, nats=nats))


def test_an_observer_that_fails_is_shown_with_the_reason_and_the_hint() -> None:
    views = [
        ObserverView(name=name, failure=failure, hint="install it", waiting=0, counters=ObserverCounters())
        for name, failure in (("hosts", None), ("exec=/x", "no such program"))
    ]
    assert "Failed observers (1):\n  exec=/x  no such program (install it)" in plain(
        replace(STATUS, observers=tuple(views))
    )
