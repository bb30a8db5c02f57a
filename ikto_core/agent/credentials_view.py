"""The node's user JWT as the admin interface shows it."""

from ikto_core.admin.views import CredentialsView
from ikto_core.claim.node_user import NodeUser
from ikto_core.values.times import utc


def credentials_view(user: NodeUser | None, kv_key: str | None, now: float) -> CredentialsView | None:
    """Return the view of a node's user JWT at `now` (seconds since the epoch); None if it has no creds file.

    `kv_key`: the KV key of its record; None: not known yet.
    """
    if user is None:
        return None
    problem = user.problem(kv_key)
    return CredentialsView(
        expires_at=utc(user.expires_s or None),
        expires_soon=user.expires_soon(now),
        failure=str(problem) if problem else None,
    )
