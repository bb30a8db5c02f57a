"""Watches the mesh's settings in the bucket, which must be those of this node's configuration."""

from collections.abc import Mapping

import structlog

from ikto_core.errors import ConfigError
from ikto_core.mesh.settings import MESH_KEY, MeshSettings, read_settings
from ikto_core.mesh.view import Entry

log = structlog.get_logger(__name__)


class SettingsGuard:
    """Compares the mesh's settings in the bucket with those of this node.

    Anyone who can write the settings could otherwise stop every node: so they stop only a node that has not joined yet.
    """

    def __init__(self, configured: MeshSettings, bucket: str) -> None:
        self.conflict = ""  # how the bucket's settings differ from this node's; empty: they do not
        self._configured = configured
        self._bucket = bucket

    def look(self, changes: Mapping[str, Entry]) -> None:
        """Take changes of the bucket, and log a conflict that is new or has ended."""
        if MESH_KEY not in changes:
            return
        settings = read_settings(changes[MESH_KEY])
        conflict = "; ".join(settings.differences(self._configured)) if settings else ""
        if conflict and conflict != self.conflict:
            hint = "find out who wrote them, then write the mesh's own: ikto bucket create --overwrite-mesh"
            log.error("mesh settings in the bucket differ", bucket=self._bucket, differences=conflict, hint=hint)
        elif self.conflict and not conflict:
            log.info("mesh settings in the bucket agree again", bucket=self._bucket)
        self.conflict = conflict

    def require_agreement(self, *, unless: bool) -> None:
        """Raise ConfigError if the bucket's settings differ, `unless` this node has joined the mesh already."""
        if self.conflict and not unless:
            raise ConfigError(
                f"the configuration contradicts the mesh settings in bucket {self._bucket!r}: {self.conflict}",
                hint="set the bucket's values in the configuration",
            )
