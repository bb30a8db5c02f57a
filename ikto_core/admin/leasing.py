"""Our record's lease, as the agent's socket shows it."""

from ikto_core.admin.views import LeaseView
from ikto_core.lease_keeper import LeaseKeeper


def lease_view(leases: LeaseKeeper) -> LeaseView | None:
    """Return what there is to say of our lease; None if we have none."""
    if not leases.lease_s:
        return None
    return LeaseView(
        lease_s=leases.lease_s, renewed_at=leases.renewed_at, failure=leases.failure, refusal=leases.refusal
    )
