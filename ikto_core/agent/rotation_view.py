"""The key rotation as the admin interface shows it."""

from ikto_core.admin.views import RotationView
from ikto_core.agent.key_rotation import KeyRotation
from ikto_core.values.times import utc


def rotation_view(rotation: KeyRotation) -> RotationView | None:
    """Return the view of a key rotation; None if none is under way."""
    if rotation.next_key is None:
        return None
    return RotationView(next_public_key=rotation.next_key.text, due_at=utc(rotation.due_at))
