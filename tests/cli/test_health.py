"""The exit code of `ikto status`: healthy, starting, or something is wrong."""

from typing import Any

import pytest
from msgspec.structs import replace

from ikto_core.admin.views import AgentState, CredentialsView, LeaseView, NatsView, SnapshotView
from ikto_core.cli.exit_codes import DEGRADED, STARTING
from ikto_core.cli.health import health_code
from ikto_core.values.times import utc
from tests.cli.test_status import STATUS

HEALTHY = replace(
    STATUS,
    state=AgentState.READY,
    nats=NatsView(connected=True, server="nats://a", failure=None),
    snapshot=SnapshotView(in_use=False, revision=1, saved_at=utc(1), failure=None),
    lease=None,
    credentials=None,
    mesh_settings_conflict=None,
    device_failure=None,
    device_stuck=False,
    pending_removals=(),
    pending_key_changes=(),
)


def test_a_node_without_trouble_is_healthy_whatever_others_write() -> None:
    assert health_code(HEALTHY) == 0
    assert health_code(replace(HEALTHY, quarantined=STATUS.quarantined, frequent_records=("fd10::/48",))) == 0


@pytest.mark.parametrize("state", [AgentState.CONNECTING, AgentState.CLAIMING, AgentState.APPLYING])
def test_a_node_that_starts_is_not_healthy_yet(state: AgentState) -> None:
    assert health_code(replace(HEALTHY, state=state)) == STARTING == 25


@pytest.mark.parametrize(
    "trouble",
    [
        {"state": AgentState.DEGRADED},
        {"nats": NatsView(connected=True, server="nats://a", failure="denied")},
        {"snapshot": SnapshotView(in_use=False, revision=1, saved_at=utc(1), failure="disk full")},
        {"lease": LeaseView(lease_s=600, failure="denied", refusal="")},
        {"credentials": CredentialsView(expires_at=None, expires_soon=False, failure="revoked")},
        {"mesh_settings_conflict": "other mesh"},
        {"device_failure": "gone"},
        {"device_stuck": True},
        {"pending_removals": ("K",)},
        {"pending_key_changes": ("fd10::/48",)},
    ],
)
def test_each_trouble_is_one(trouble: dict[str, Any]) -> None:
    assert health_code(replace(HEALTHY, **trouble)) == DEGRADED == 26


def test_a_refusal_that_only_others_feel_is_none() -> None:
    lease = LeaseView(lease_s=600, failure="", refusal="not permitted to remove expired records")
    assert health_code(replace(HEALTHY, lease=lease)) == 0
