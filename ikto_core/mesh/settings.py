"""The mesh's own settings, stored in the bucket so that every node can check its configuration against them."""

import msgspec

from ikto_core.mesh.view import Entry

MESH_KEY = "mesh"
"""The KV key of the settings; Ikto 0.3.0 ignores it, because it reads `peers.*` only."""


class MeshSettings(msgspec.Struct, frozen=True):
    """The settings that every node of a mesh must agree on."""

    mesh_cidr: str
    subnet_prefix: int

    def encode(self) -> bytes:
        """Return the JSON value to store under MESH_KEY."""
        return msgspec.json.encode(self)

    def differences(self, other: "MeshSettings") -> list[str]:
        """Return the members that differ in `other`, one line each."""
        return [
            f"{member} is {getattr(self, member)!r}, not {getattr(other, member)!r}"
            for member in self.__struct_fields__
            if getattr(self, member) != getattr(other, member)
        ]


def read_settings(entry: Entry | None) -> MeshSettings | None:
    """Return the settings under MESH_KEY; None if they are missing, as in a bucket of 0.3.0, or malformed."""
    if entry is None or entry.value is None:
        return None
    try:
        return msgspec.json.decode(entry.value, type=MeshSettings)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
