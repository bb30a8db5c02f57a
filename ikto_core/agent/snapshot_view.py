"""The mesh snapshot on disk, as the admin interface shows it."""

from ikto_core.admin.views import SnapshotView
from ikto_core.disk.snapshot_writer import SnapshotWriter
from ikto_core.disk.state_file import StateFile
from ikto_core.values.times import utc


def snapshot_view(writer: SnapshotWriter, state_file: StateFile, *, in_use: bool) -> SnapshotView:
    """Return the state of the snapshot; `in_use`: the device shows it, because the bucket has not been read yet."""
    latest, failure = writer.latest, state_file.failure or writer.failure
    return SnapshotView(
        in_use=in_use,
        revision=latest.revision if latest else None,
        saved_at=utc(latest.saved_at) if latest else None,
        failure=failure or None,
    )
