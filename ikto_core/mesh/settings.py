"""The mesh's own settings, which stand in the bucket so that no node can contradict them."""

import msgspec

from ikto_core.errors import ConfigError
from ikto_core.mesh.view import Entry

MESH_KEY = "mesh"
"""Their KV key; Ikto 0.3.0 looks at `peers.*` only."""


class MeshSettings(msgspec.Struct, frozen=True):
    """What every node of a mesh must agree on."""

    mesh_cidr: str
    subnet_prefix: int

    def encode(self) -> bytes:
        """Return the JSON that stands under MESH_KEY."""
        return msgspec.json.encode(self)

    def differences(self, other: "MeshSettings") -> list[str]:
        """Return where `other` contradicts these settings, a line each."""
        return [
            f"{member} is {getattr(self, member)!r}, not {getattr(other, member)!r}"
            for member in self.__struct_fields__
            if getattr(self, member) != getattr(other, member)
        ]


def read_settings(entry: Entry | None) -> MeshSettings | None:
    """Return the settings under MESH_KEY; None if there are none that can be read, as in a bucket of 0.3.0."""
    if entry is None or entry.value is None:
        return None
    try:
        return msgspec.json.decode(entry.value, type=MeshSettings)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def check_settings(entry: Entry | None, mine: MeshSettings, bucket: str) -> None:
    """See to it that a configuration's settings do not contradict those in the bucket; ConfigError if they do."""
    settings = read_settings(entry)
    if settings and (differences := settings.differences(mine)):
        raise ConfigError(
            f"the configuration contradicts the mesh in bucket {bucket!r}: {'; '.join(differences)}",
            hint="take the bucket's values",
        )
